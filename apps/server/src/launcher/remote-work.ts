import { apiPrefix } from "@espalier/contract";
import type { RemoteWork, WorkOrder } from "@espalier/core";
import type { ProjectRecord } from "../db/record.ts";

/** Longer than any step that is worth waiting for; the token dies with its attempt all the same. */
const tokenLifetimeSeconds = 30 * 24 * 3600;

/** How a launcher elsewhere reaches this control plane for one attempt. */
export async function remoteWork(
  record: Pick<ProjectRecord, "tokens">,
  publicUrl: string,
  order: WorkOrder,
): Promise<RemoteWork> {
  const { token } = await record.tokens.create({
    // The launcher's routes look up the run by this name.
    name: order.runId,
    role: "viewer",
    scope: { kind: "attempt", id: order.attemptId },
    expiresInSeconds: tokenLifetimeSeconds,
    createdBy: `run:${order.runId}`,
  });
  return { kind: "remote", manifestUrl: `${publicUrl}${apiPrefix}/attempts/${order.attemptId}/manifest`, token };
}
