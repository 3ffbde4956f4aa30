import { readdirSync } from "node:fs";
import { join } from "node:path";
import { openPlane } from "./plane.ts";

export interface Findings {
  state: string;
  /** `step[branch].output` to digest: equal after every fault. */
  outputs: Record<string, string>;
  steps: Record<string, string>;
  problems: string[];
}

/** What a finished run left: its outputs, and everything that should not be. */
export async function examine(folder: string, runId: string): Promise<Findings> {
  const plane = await openPlane(folder);
  const problems: string[] = [];
  try {
    const { engine } = plane.record;
    const run = await engine.run(runId);
    const steps = await engine.steps(runId);
    const attempts = await engine.attempts(runId);
    const outputs: Record<string, string> = {};
    for (const row of steps) {
      for (const [name, ref] of Object.entries(row.outputs ?? {})) {
        outputs[`${row.step}[${row.branch}].${name}`] = ref.digest;
        await plane.artifacts
          .verify(ref)
          .catch((error: unknown) => problems.push(`${row.step}.${name}: ${String(error)}`));
      }
      const own = attempts.filter((attempt) => attempt.step === row.step && attempt.branch === row.branch);
      const succeeded = own.filter((attempt) => attempt.state === "succeeded").length;
      if (row.state === "succeeded" && succeeded !== 1 && own.length > 0) {
        problems.push(`${row.step}[${row.branch}] has ${succeeded} succeeded attempts`);
      }
    }
    for (const attempt of attempts) {
      if (["created", "submitted", "collecting"].includes(attempt.state)) problems.push(`attempt ${attempt.id} hangs`);
    }
    const notes = readdirSync(join(folder, "notes"));
    if (run?.state === "succeeded" && notes.length !== 1) problems.push(`the record step wrote ${notes.length} notes`);
    return {
      state: run?.state ?? "missing",
      outputs,
      steps: Object.fromEntries(steps.map((row) => [`${row.step}[${row.branch}]`, row.state])),
      problems,
    };
  } finally {
    await plane.close();
  }
}
