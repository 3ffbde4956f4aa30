import type { Answers } from "./answers.ts";
import type { Candidate, Place } from "./candidates.ts";
import type { Range } from "./ownership.ts";

/** US dollars a month, from the manifest's prices and the work that the answers tell of. */
export function monthlyDollars({ ownership }: Candidate, { work }: Answers, { component }: Place): Range {
  if (ownership === undefined) return [0, 0];
  const [low, high] = ownership.dollarsAMonth;
  const stored = component === "artifacts" ? (ownership.dollarsAGigabyteMonth ?? 0) * work.data_gigabytes : 0;
  const hours = work.training_hours * work.runs_a_month * Math.max(1, work.gpus);
  const trained = component === "compute" ? (ownership.dollarsATrainingHour ?? 0) * hours : 0;
  return [low + stored + trained, high + stored + trained];
}
