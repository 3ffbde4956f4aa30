/** A run: one execution of a pipeline. Terminal states never change. */
export const runStates = ["queued", "running", "succeeded", "failed", "cancelled"] as const;
export type RunState = (typeof runStates)[number];
export const terminalRunStates: readonly RunState[] = ["succeeded", "failed", "cancelled"];

/**
 * A step of a run. `pending` waits for its inputs, `waiting` for a person or a free slot; `cached` took another attempt's outputs;
 * `pruned` is a trial that its search stopped, since others were ahead; `unchanged` is a deploy that found its desired state in force; `skipped` had a false `when:` or a skipped or failed input.
 */
export const stepStates = [
  "pending",
  "waiting",
  "running",
  "succeeded",
  "cached",
  "unchanged",
  "skipped",
  "failed",
  "pruned",
  "cancelled",
] as const;
export type StepState = (typeof stepStates)[number];
export const terminalStepStates: readonly StepState[] = [
  "succeeded",
  "cached",
  "unchanged",
  "skipped",
  "failed",
  "pruned",
  "cancelled",
];

/** One try of a step. `created` is on record before anything is submitted; `collecting` takes its outputs in. */
export const attemptStates = [
  "created",
  "submitted",
  "collecting",
  "succeeded",
  "failed",
  "pruned",
  "cancelled",
  "lost",
] as const;
export type AttemptState = (typeof attemptStates)[number];
export const terminalAttemptStates: readonly AttemptState[] = ["succeeded", "failed", "pruned", "cancelled", "lost"];
