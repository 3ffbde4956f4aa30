import { createHash } from "node:crypto";
import type { AttemptRow, RunRow, StepRow } from "../record/engine-record.ts";

/** What the record holds of a run by the time that others are told of it. */
export interface ToldRun {
  project: string;
  run: RunRow;
  /** With branches. */
  steps: readonly StepRow[];
  attempts: readonly AttemptRow[];
}

/** Hexadecimal digits that only the parts decide, so that what is told again is the same thing. */
export const digitsOf = (length: number, ...parts: readonly string[]): string =>
  createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, length);

/** The step itself, without its branches. */
export const stepRow = ({ steps }: Pick<ToldRun, "steps">, name: string): StepRow | undefined =>
  steps.find(({ step, branch }) => step === name && branch === -1);
