import type { CallOutput } from "@espalier/contract";
import { describeKeyPartChange, diffKeyParts, EspalierError, type RunRow, type StepRow } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";

const nearestLooked = 50;

/** Which part of a step's cache key differs from the nearest earlier run: the one with the fewest different parts. */
export async function explainStep(
  { record }: ControlPlane,
  run: RunRow,
  step: string,
  branch: number,
): Promise<CallOutput<"runs.why">> {
  const row = (await record.engine.steps(run.id)).find((one) => one.step === step && one.branch === branch);
  if (row === undefined) {
    throw new EspalierError("NOT_FOUND", `Run ${run.id} has no step ${step}${branch < 0 ? "" : `[${branch}]`}`, {
      hint: `Its steps: ${Object.keys(run.pipeline.steps).join(", ")}.`,
    });
  }
  const earlier = (await record.engine.earlierSteps(run.pipeline.name, step, nearestLooked)).filter(
    (one) => one.runId < run.id && one.branch === branch && one.keyParts !== undefined,
  );
  const nearest = row.keyParts === undefined ? undefined : nearestOf(row.keyParts, earlier);
  const differences = nearest?.differences ?? [];
  const facts = {
    runId: run.id,
    step,
    state: row.state,
    ...(row.cacheKey === undefined ? {} : { cacheKey: row.cacheKey }),
    ...(nearest === undefined
      ? {}
      : {
          comparedWith: {
            runId: nearest.row.runId,
            ...(nearest.row.cacheKey === undefined ? {} : { cacheKey: nearest.row.cacheKey }),
          },
        }),
    differences: differences.map(({ part, before, after }) => ({
      part,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    })),
  };
  return { ...facts, explanation: explanation(run, row, nearest) };
}

type Nearest = { row: StepRow; differences: ReturnType<typeof diffKeyParts> };

function nearestOf(parts: NonNullable<StepRow["keyParts"]>, earlier: readonly StepRow[]): Nearest | undefined {
  let best: Nearest | undefined;
  for (const row of earlier) {
    const differences = diffKeyParts(row.keyParts ?? {}, parts);
    if (best === undefined || differences.length < best.differences.length) best = { row, differences };
  }
  return best;
}

function explanation(run: RunRow, row: StepRow, nearest: Nearest | undefined): string {
  const { step, state } = row;
  if (state === "cached") return `${step} was cached: it took the outputs of attempt ${row.cachedFrom ?? "(unknown)"}.`;
  if (state === "skipped") return `${step} was skipped${row.reason === undefined ? "" : `: ${row.reason}`}.`;
  if (state === "pending" || state === "waiting")
    return `${step} has not run yet${row.reason === undefined ? "" : `: ${row.reason}`}.`;
  if (run.options.force === true) return `${step} ran because the run was forced.`;
  if (row.keyParts === undefined) return `${step} has no cache key: it runs every time.`;
  if (row.cacheKey === undefined) return `${step} is not cached: it runs every time.`;
  if (nearest === undefined) return `${step} ran because no earlier run of ${run.pipeline.name} has it.`;
  if (nearest.differences.length === 0) {
    return `${step} has the same key as in run ${nearest.row.runId}, which left no result to take (it was ${nearest.row.state}).`;
  }
  const [first] = nearest.differences;
  const more = nearest.differences.length - 1;
  return `${step} ran because ${first === undefined ? "" : describeKeyPartChange(first)}${more > 0 ? `, and ${more} more` : ""} (compared with run ${nearest.row.runId}).`;
}
