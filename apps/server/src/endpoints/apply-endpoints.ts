import type { AppliedEndpoint } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { deleteEndpoint } from "./delete-endpoint.ts";
import { planOf } from "./plan-endpoints.ts";
import { declaresModel, named, readDeclarations } from "./read-declarations.ts";
import { declare, reconcile } from "./reconcile.ts";

export interface ApplyRequest {
  /** Left out: all that are declared. */
  names?: readonly string[] | undefined;
  /** Stops what was declared once and no longer is. */
  prune?: boolean | undefined;
  by: string;
  /** false: a control plane that starts; what was tried and taken back stays so. */
  insist: boolean;
}

/**
 * Makes espalier.yaml's endpoints the desired state, and brings about as much of it as can be now; the control plane follows from then on.
 * What fails is told beside the others. Errors: INVALID_CONFIG (the file), NOT_FOUND (a name).
 */
export async function applyEndpoints(plane: ControlPlane, request: ApplyRequest): Promise<AppliedEndpoint[]> {
  const { names = [], prune = false, by, insist } = request;
  if (prune && names.length > 0) {
    throw new EspalierError("INVALID_INPUT", "`prune` looks at all endpoints, and some are named", {
      at: "body.prune",
    });
  }
  const declared = await readDeclarations(plane);
  const applied: AppliedEndpoint[] = [];
  const wanted = named(declared, names);
  // All are put on record first: whatever happens to this process now, the next one goes on with them.
  for (const { name, config } of wanted) await declare(plane, name, config, by);
  for (const { name, at } of wanted) {
    const reconciled = await reconcile(plane, name, { insist, by, at });
    if (reconciled === undefined) continue;
    applied.push({ ...planOf(reconciled.difference, at), outcome: reconciled.outcome });
  }
  return names.length > 0 ? applied : [...applied, ...(await endUndeclared(plane, declared, prune, by))];
}

/** Nothing that serves is stopped because a line is missing from a file, unless that is said. */
async function endUndeclared(
  plane: ControlPlane,
  declared: readonly { name: string }[],
  prune: boolean,
  by: string,
): Promise<AppliedEndpoint[]> {
  const { record } = plane;
  const ended: AppliedEndpoint[] = [];
  for (const row of await record.declarations.all()) {
    const { name } = row;
    if (declared.some((one) => one.name === name)) continue;
    const endpoint = await record.endpoints.get(name);
    const serves = endpoint !== undefined && endpoint.deletedAt === undefined && declaresModel(row);
    if (prune && serves) await deleteEndpoint(plane, name, by, "no longer declared");
    if (prune || !serves) await record.declarations.delete(name);
    if (!serves) continue;
    const reason = prune ? "no longer declared" : "no longer declared; it serves on. `espalier apply --prune` stops it";
    ended.push({ name, action: "remove", changes: [], reason, outcome: prune ? "done" : "left" });
  }
  return ended;
}
