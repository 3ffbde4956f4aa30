import { EspalierError } from "../errors.ts";
import type { CollectedOutputs } from "../ports/staging.ts";
import { recordContext } from "./record-context.ts";
import type { RunContext } from "./run-context.ts";
import type { Unit } from "./unit.ts";

/** What must hold before a step's outputs count: its recorder has written them down, and a gate has let its candidate through. */
export async function judgeOutputs(
  context: RunContext,
  unit: Unit,
  attemptId: string,
  collected: CollectedOutputs,
): Promise<void> {
  if (unit.builtin === undefined) return;
  const recorder = context.options.recorders?.[unit.builtin.name];
  if (recorder) await recorder({ ...recordContext(context, unit, attemptId), ...collected });
  if (unit.builtin.name === "gate" && collected.outputs.model === undefined) {
    throw new EspalierError("GATE_REFUSED", `The gate ${unit.row.step} did not let the candidate through`, {
      at: `steps.${unit.row.step}`,
      details: { verdict: collected.values.verdict ?? null },
      hint: "The verdict lists each criterion with its interval; a better candidate or another policy is needed.",
    });
  }
  const candidate = unit.inputs.candidate?.ref.digest;
  const model = collected.outputs.model?.digest;
  if (unit.builtin.name === "gate" && model !== candidate) {
    throw new EspalierError("INTERNAL", `The gate ${unit.row.step} gave out another model than the one it judged`, {
      details: { candidate, model },
    });
  }
}
