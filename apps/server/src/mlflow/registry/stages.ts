import { invalidParameter } from "../limits.ts";

/** Stages of versions, which older clients use where newer ones use aliases. */
export const stages = ["None", "Staging", "Production", "Archived"] as const;
export type Stage = (typeof stages)[number];

const active: readonly Stage[] = ["Staging", "Production"];

/** Written in any case. */
export function stageOf(given: string): Stage {
  const stage = stages.find((one) => one.toLowerCase() === given.toLowerCase());
  return (
    stage ??
    invalidParameter(`Invalid Model Version stage: ${given.slice(0, 100)}. Value must be one of ${stages.join(", ")}.`)
  );
}

/** Only what is staged or in production gives way to a successor. */
export function requireActive(stage: Stage, given: string): void {
  if (active.includes(stage)) return;
  const names = active.map((one) => `'${one}'`).join(", ");
  invalidParameter(
    `Model version transition cannot archive existing model versions because '${given}' is not an Active stage. Valid stages are [${names}]`,
  );
}
