import type { EndpointPlan } from "@espalier/contract";
import colors from "picocolors";

const marks: Readonly<Record<EndpointPlan["action"], string>> = {
  create: colors.green("+"),
  update: colors.yellow("~"),
  none: " ",
  wait: colors.dim("…"),
  hold: colors.yellow("!"),
  remove: colors.yellow("-"),
};

const words: Readonly<Record<EndpointPlan["action"], string>> = {
  create: "create",
  update: "update",
  none: "nothing to do",
  wait: "waits",
  hold: "held",
  remove: "no longer declared",
};

/** What is planned for one endpoint; below it what changes, old -> new. */
export function endpointLines({ name, action, model, version, changes, reason }: EndpointPlan): string[] {
  const lines = [
    `${marks[action]} endpoint ${colors.bold(name)}  ${words[action]}${model === undefined ? "" : `  ${colors.dim(model)}`}`,
  ];
  if (version !== undefined) {
    const from = version.from === undefined ? "" : `${version.from} -> `;
    lines.push(`    version: ${from}${version.to} (${version.strategy})`);
  }
  for (const { field, from, to } of changes) lines.push(`    ${field}: ${shown(from)} -> ${shown(to)}`);
  if (reason !== undefined) lines.push(`    ${colors.dim(reason)}`);
  return lines;
}

/** What stands against it, as faults of one error: the first one's code is the command's exit code. */
export function endpointFaults(endpoints: readonly EndpointPlan[]): Problem[] {
  return endpoints.flatMap(({ name, problem }) =>
    problem === undefined ? [] : [{ ...problem, message: `endpoint ${name}: ${problem.message}` }],
  );
}

type Problem = NonNullable<EndpointPlan["problem"]>;

const shown = (value: unknown): string =>
  value === null ? "not set" : typeof value === "string" ? value : JSON.stringify(value);
