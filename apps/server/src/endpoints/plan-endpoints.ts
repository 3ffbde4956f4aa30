import type { EndpointPlan } from "@espalier/contract";
import { strategyOf } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { type EndpointDifference, endpointDifference } from "./endpoint-difference.ts";
import { portProblem } from "./port-problem.ts";
import { declaresModel, named, readDeclarations } from "./read-declarations.ts";

/** What `apply` would do to endpoints. Nothing is started, asked or put on record. */
export async function planEndpoints(plane: ControlPlane, names?: readonly string[]): Promise<EndpointPlan[]> {
  const { record } = plane;
  const declared = await readDeclarations(plane);
  const rows = await record.declarations.all();
  const planned: EndpointPlan[] = [];
  for (const { name, config, at } of named(declared, names)) {
    const row = rows.find((one) => one.name === name);
    const difference = await endpointDifference(record, { name, config, row, at }, { insist: false });
    const problem = difference.problem ?? (await portProblem(difference, at));
    planned.push(planOf({ ...difference, ...(problem === undefined ? {} : { problem }) }, at));
  }
  if (names !== undefined && names.length > 0) return planned;
  for (const row of rows) {
    const { name } = row;
    if (!declaresModel(row) || declared.some((one) => one.name === name)) continue;
    const endpoint = await record.endpoints.get(name);
    if (endpoint === undefined || endpoint.deletedAt !== undefined) continue;
    planned.push({
      name,
      action: "remove",
      changes: [],
      reason: "no longer declared; `espalier apply --prune` stops it",
    });
  }
  return planned;
}

export function planOf(
  { name, config, action, takeover, changes, reason, problem }: EndpointDifference,
  at: string,
): EndpointPlan {
  return {
    name,
    at,
    action,
    ...(config.model === undefined ? {} : { model: config.model }),
    ...(takeover === undefined
      ? {}
      : {
          version: {
            ...(takeover.from === undefined ? {} : { from: takeover.from }),
            to: `${takeover.version.name}@${takeover.version.version}`,
            // The first version takes all traffic: there is none to share it with.
            strategy: takeover.from === undefined ? "all" : strategyOf(config.strategy ?? "all"),
          },
        }),
    changes: changes.map((change) => ({ ...change })),
    ...(reason === undefined ? {} : { reason }),
    ...(problem === undefined ? {} : { problem: problemOf(problem) }),
  };
}

function problemOf({
  code,
  message,
  at,
  hint,
}: NonNullable<EndpointDifference["problem"]>): NonNullable<EndpointPlan["problem"]> {
  return { code, message, ...(at === undefined ? {} : { at }), ...(hint === undefined ? {} : { hint }) };
}
