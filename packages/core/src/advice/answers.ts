import { z } from "zod";
import { providerSchema } from "../manifest.ts";
import { skills } from "./skills.ts";

const skillName = z.string().refine((name) => name in skills, {
  error: ({ input }) => `there is no skill "${input}"; known: ${Object.keys(skills).join(", ")}`,
});

const personSchema = z.strictObject({
  name: z.string().min(1),
  /** 0 none, 1 has used it, 2 runs it, 3 has repaired it under pressure. */
  skills: z.record(skillName, z.int().min(0).max(3)).default({}),
  /** Skills and tools that this person could repair alone at night. */
  repairs: z.array(z.string()).default([]),
});

const runningSchema = z.strictObject({
  milestone: z.int().min(0).max(13),
  tool: z.string().min(1),
  satisfied: z.enum(["yes", "partly", "no"]),
  /** How long it has been operated. */
  months: z.number().min(0).default(0),
  hours_a_month: z.number().min(0).default(0),
  dollars_a_month: z.number().min(0).default(0),
  /** A managed service's own console does this. */
  console: z.boolean().default(false),
  provider: providerSchema.optional(),
  pain: z.string().optional(),
});

/** The criteria, and how much each counts. They are relative: only their proportions matter. */
export const defaultWeights = { fit: 25, skills: 25, hours: 15, money: 10, freedom: 5, proof: 10, continuity: 10 };
export type Criterion = keyof typeof defaultWeights;
export const criteria = Object.keys(defaultWeights) as Criterion[];

const weightsSchema = z
  .strictObject(Object.fromEntries(criteria.map((name) => [name, z.number().min(0).optional()])))
  .refine((given) => Object.values({ ...defaultWeights, ...given }).some((weight) => Number(weight) > 0), {
    error: "at least one weight must be above 0",
  });

/** `advice.yaml`: what a team says of itself. Absent answers are the most modest ones. */
export const answersSchema = z.strictObject({
  people: z.array(personSchema).min(1),
  /** Hours a month that all of them together have for operations. */
  hours_a_month: z.number().min(0),
  /** Skills and tools that the team has operated for half a year. */
  operated: z.array(z.string()).default([]),
  machine: z
    .strictObject({ gpus: z.int().min(0).default(0), disk_gigabytes: z.number().positive().default(200) })
    .default({ gpus: 0, disk_gigabytes: 200 }),
  work: z.strictObject({
    data_gigabytes: z.number().min(0),
    /** Of one run on one machine. */
    training_hours: z.number().min(0),
    runs_a_month: z.number().min(0).default(4),
    gpus: z.int().min(0).default(0),
    models: z.int().min(0).default(1),
    serving: z.enum(["none", "batch", "online"]),
    requests_a_second: z.number().min(0).default(0),
    latency_milliseconds: z.number().positive().optional(),
    retraining: z.enum(["by hand", "scheduled"]).default("by hand"),
    /** When it has to run. */
    by: z.iso.date().optional(),
  }),
  bounds: z
    .strictObject({
      air_gapped: z.boolean().default(false),
      residency: z.union([z.literal("on-premises"), z.string().min(1)]).optional(),
      compliance: z.array(z.string()).default([]),
      /** Only these may be used beside what is embedded. */
      providers: z.array(providerSchema).min(1).optional(),
      refused: z.array(z.string()).default([]),
      budget_dollars_a_month: z.number().min(0).optional(),
      lock_in: z.enum(["none", "some", "any"]).default("some"),
      approval: z
        .strictObject({ who: z.string(), weeks: z.number().min(0), approved: z.array(z.string()).default([]) })
        .optional(),
    })
    .default({ air_gapped: false, compliance: [], refused: [], lock_in: "some" }),
  running: z.array(runningSchema).default([]),
  /** Needs that no tool meets, so that a script of the team's own is the answer. */
  niche: z.array(z.strictObject({ milestone: z.int().min(0).max(13), need: z.string().min(1) })).default([]),
  weights: weightsSchema.optional(),
});
export type Answers = z.infer<typeof answersSchema>;
export type Running = Answers["running"][number];

export function weightsOf(answers: Answers): Record<Criterion, number> {
  const given = Object.entries(answers.weights ?? {}).filter(([, weight]) => weight !== undefined);
  return { ...defaultWeights, ...Object.fromEntries(given) };
}

export function levelOf(answers: Answers, skill: string): number {
  return Math.max(0, ...answers.people.map((person) => person.skills[skill] ?? 0));
}

/** Who could repair it alone at night: by name, so that the answer is evidence and no feeling. */
export function repairersOf(answers: Answers, ...names: string[]): string[] {
  return answers.people.filter(({ repairs }) => names.some((name) => repairs.includes(name))).map(({ name }) => name);
}
