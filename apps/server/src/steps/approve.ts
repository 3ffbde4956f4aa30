import { EspalierError, type RecordStep, recordBuiltins } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { valueOutput } from "./step-values.ts";

/** Asks once, then waits: the decision wakes the run. */
export function approveStep(plane: () => ControlPlane): RecordStep {
  return async (context) => {
    const { record, artifacts } = plane();
    const { question } = recordBuiltins.approve.with.parse(context.with);
    const approval = await record.approvals.request({
      id: context.attemptId,
      runId: context.run.id,
      step: context.step,
      branch: context.branch,
      message: question ?? `May ${context.run.pipeline.name} go on?`,
    });
    if (approval.state === "waiting") {
      return { state: "waiting", reason: `waits for a person: ${approval.message}` };
    }
    if (approval.state !== "approved") {
      throw new EspalierError(
        approval.state === "cancelled" ? "CANCELLED" : "GATE_REFUSED",
        `${approval.decidedBy ?? "Somebody"} said no${approval.comment === undefined ? "" : `: ${approval.comment}`}`,
        { at: `steps.${context.step}` },
      );
    }
    return valueOutput(artifacts, "decision", {
      decision: "approve",
      by: approval.decidedBy ?? null,
      comment: approval.comment ?? null,
    });
  };
}
