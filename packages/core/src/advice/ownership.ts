import { z } from "zod";

/** From, to. Both ends are meant to be plausible, not extreme. */
export const rangeSchema = z
  .tuple([z.number().min(0), z.number().min(0)])
  .refine(([low, high]) => low <= high, "the first number must not be greater than the second");
export type Range = z.infer<typeof rangeSchema>;

/**
 * What it means to own a tool, for `advise`: numbers with their source and date, so that whoever doubts one can replace it. Hours are of
 * somebody who has the tool's skills; what it takes to learn those comes on top.
 */
export const ownershipSchema = z.strictObject({
  place: z.enum(["this machine", "own servers", "cloud"]),
  setUpHours: rangeSchema,
  hoursAMonth: rangeSchema,
  /** US dollars a month that are due whatever the work is: servers, or a service's own minimum. */
  dollarsAMonth: rangeSchema,
  dollarsAGigabyteMonth: z.number().min(0).optional(),
  /** A training hour of one worker. */
  dollarsATrainingHour: z.number().min(0).optional(),
  /** What it carries without strain. Absent: more than most teams have. */
  carries: z
    .strictObject({
      dataGigabytes: z.number().positive().optional(),
      /** Of one run. */
      trainingHours: z.number().positive().optional(),
      trainingHoursAMonth: z.number().positive().optional(),
      requestsASecond: z.number().positive().optional(),
    })
    .optional(),
  /** 0: standard formats that anything reads; 1: leaving takes days; 2: weeks; 3: months. */
  lockIn: z.int().min(0).max(3),
  wayOut: z.string(),
  source: z.string(),
  asOf: z.iso.date(),
});
export type Ownership = z.infer<typeof ownershipSchema>;
