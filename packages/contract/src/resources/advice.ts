import { answersSchema, criteria } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, defineRoutes } from "../route.ts";

const range = z.tuple([z.number(), z.number()]);

const reasonSchema = z.object({
  criterion: z.string(),
  /** Its part of 100. */
  weight: z.number(),
  /** 0 to 1. */
  value: z.number(),
  /** Weight times value. */
  points: z.number(),
  because: z.string(),
  /** The answers that it rests on. */
  at: z.array(z.string()),
});

const rankedSchema = z.object({
  candidate: z.object({
    kind: z.enum(["tool", "keep", "own", "none"]),
    name: z.string(),
    provider: z.string().optional(),
    ownership: z.object({ wayOut: z.string(), source: z.string(), asOf: z.string() }).optional(),
  }),
  /** 0 to 100, the sum of the reasons' points. */
  score: z.number(),
  reasons: z.array(reasonSchema),
});

const rankingSchema = z.object({
  ranked: z.array(rankedSchema),
  excluded: z.array(
    z.object({
      candidate: z.object({ name: z.string() }),
      exclusions: z.array(z.object({ at: z.string(), because: z.string() })),
    }),
  ),
});

const milestoneAdviceSchema = z.object({
  place: z.object({ component: z.string(), milestone: z.number(), title: z.string() }),
  verdict: z.enum(["keep", "none yet", "use", "own script"]),
  choice: rankedSchema,
  runnerUp: rankedSchema.optional(),
  isCloseCall: z.boolean(),
  ranking: rankingSchema,
  withoutSkills: rankingSchema,
  learning: z.array(z.object({ skill: z.string(), hours: range, source: z.string() })),
  setUpHours: range,
  hoursAMonth: range,
  dollarsAMonth: range,
  /** Skills that fewer than two named people could repair at night. */
  gaps: z.array(z.object({ skill: z.string(), people: z.array(z.string()) })),
  flip: z.object({ at: z.string(), sentence: z.string(), winner: z.string() }).optional(),
});
export type MilestoneAdvice = z.infer<typeof milestoneAdviceSchema>;

const adviceSchema = z.object({
  outcome: z.enum(["stack", "keep", "none yet", "console"]),
  sentence: z.string(),
  advice: z.array(milestoneAdviceSchema),
  hoursAMonth: range,
  dollarsAMonth: range,
  learningHours: range,
  warnings: z.array(z.string()),
  /** As it stands under `stacks:` of espalier.yaml, in YAML. */
  stack: z.string(),
  /** The answers in YAML, for advice.yaml. */
  answers: z.string(),
});
export type AdviceDocument = z.infer<typeof adviceSchema>;

const questionsSchema = z.object({
  skills: z.array(z.string()),
  milestones: z.array(z.object({ milestone: z.number(), title: z.string() })),
  weights: z.record(z.enum(criteria as [string, ...string[]]), z.number()),
  /** Of the project's advice.yaml, where there is one. */
  answers: answersSchema.optional(),
});
export type AdviceQuestions = z.infer<typeof questionsSchema>;

export const adviceRoutes = defineRoutes({
  "advice.questions": {
    method: "GET",
    path: `${apiPrefix}/advice`,
    role: "viewer",
    kind: "json",
    summary: "What is asked for an advice: skills, milestones, weights, and the answers in the project's advice.yaml",
    response: questionsSchema,
  },
  "advice.ask": {
    method: "POST",
    path: `${apiPrefix}/advice`,
    role: "viewer",
    kind: "json",
    summary: "Which tool at each milestone, and why, from these answers; nothing is kept",
    body: z.strictObject({
      answers: answersSchema,
      /** Deadlines and the age of figures are held against it; today when left out. */
      today: z.iso.date().optional(),
    }),
    response: adviceSchema,
  },
});
