import { apiPrefix } from "@espalier/contract";
import type { RemoteWork, WorkOrder } from "@espalier/core";
import type { ProjectRecord } from "../db/record.ts";

/** How a launcher elsewhere reaches this control plane for one attempt. */
export function remoteWork(publicUrl: string, order: WorkOrder, token: string): RemoteWork {
  return { kind: "remote", manifestUrl: `${publicUrl}${apiPrefix}/attempts/${order.attemptId}/manifest`, token };
}

/** A token for one attempt: its launcher's routes, and what the MLflow face lets a step do. It never expires, and dies with its attempt. */
export async function mintAttemptToken(
  { tokens }: Pick<ProjectRecord, "tokens">,
  { attemptId, runId }: Pick<WorkOrder, "attemptId" | "runId">,
): Promise<string> {
  const { token } = await tokens.create({
    // The launcher's routes look up the run by this name.
    name: runId,
    role: "viewer",
    scope: { kind: "attempt", id: attemptId },
    createdBy: `run:${runId}`,
  });
  return token;
}
