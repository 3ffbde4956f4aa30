import { join } from "node:path";
import { createArtifacts, terminalRunStates } from "@espalier/core";
import { createFilesystemArtifactStore, createLocalFiles } from "@espalier/embedded";
import { openRecord } from "@espalier/server";

export interface Findings {
  state: string;
  /** `step[branch].output` to digest: equal after every fault. */
  outputs: Record<string, string>;
  steps: Record<string, string>;
  problems: string[];
}

/** What a run that ended left: its outputs, and everything that should not be. */
export async function examine(folder: string, runId: string): Promise<Findings> {
  const state = join(folder, ".espalier");
  const record = await openRecord({ sqlitePath: join(state, "record.db") }, "faults");
  const artifacts = createArtifacts(createFilesystemArtifactStore({ path: join(state, "store") }), createLocalFiles());
  const problems: string[] = [];
  try {
    const run = await record.engine.run(runId);
    const steps = await record.engine.steps(runId);
    const attempts = await record.engine.attempts(runId);
    const outputs: Record<string, string> = {};
    for (const row of steps) {
      for (const [name, ref] of Object.entries(row.outputs ?? {})) {
        outputs[`${row.step}[${row.branch}].${name}`] = ref.digest;
        await artifacts.verify(ref).catch((error: unknown) => problems.push(`${row.step}.${name}: ${String(error)}`));
      }
      const own = attempts.filter((attempt) => attempt.step === row.step && attempt.branch === row.branch);
      const succeeded = own.filter((attempt) => attempt.state === "succeeded").length;
      if (row.state === "succeeded" && own.length > 0 && succeeded !== 1) {
        problems.push(`${row.step}[${row.branch}] has ${succeeded} succeeded attempts`);
      }
    }
    for (const attempt of attempts) {
      if (["created", "submitted", "collecting"].includes(attempt.state)) problems.push(`attempt ${attempt.id} hangs`);
    }
    if (run === undefined || !terminalRunStates.includes(run.state)) problems.push(`the run hangs: ${run?.state}`);
    // Equal content is one version of a dataset, however often the step was killed after it had written it.
    const versions = (await record.datasets.versions("totals", { limit: 10 })).items.length;
    if (run?.state === "succeeded" && versions !== 1) problems.push(`the dataset has ${versions} versions`);
    // An attempt killed after it told its metric leaves a point of its own; what no kill may do is to double one within an attempt.
    const told = (await record.runMetrics.history(runId, { key: "loss" }, { limit: 100 })).items;
    for (const attempt of attempts.filter(({ step }) => step === "train")) {
      const points = told.filter(({ attemptId }) => attemptId === attempt.id).length;
      if (points > 1 || (points === 0 && attempt.state === "succeeded")) {
        problems.push(`attempt ${attempt.number} of train told its metric once, and it is there ${points} times`);
      }
    }
    return {
      state: run?.state ?? "missing",
      outputs,
      steps: Object.fromEntries(steps.map((row) => [`${row.step}[${row.branch}]`, row.state])),
      problems,
    };
  } finally {
    await record.close();
  }
}
