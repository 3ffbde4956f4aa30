import { EspalierError, type RunRow } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { followRun } from "./follow-run.ts";

/** Waits for a run's end, however it ends. CANCELLED when the control plane closes first. */
export async function awaitRun(
  plane: ControlPlane,
  runId: string,
  signal: AbortSignal = plane.closing,
): Promise<RunRow> {
  for await (const _event of followRun(plane, runId, 0, signal)) {
    // Only the end matters.
  }
  const run = await plane.record.runs.get(runId);
  if (run === undefined) throw new EspalierError("NOT_FOUND", `There is no run ${runId}`);
  if (run.finishedAt === undefined)
    throw new EspalierError("CANCELLED", `Nobody waits for run ${runId} any more; it goes on`);
  return run;
}
