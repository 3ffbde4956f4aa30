import type { Run } from "@espalier/contract";

/** A row of the table: a run, or the head of the group that follows. */
export type RunsRow = { kind: "run"; run: Run } | { kind: "group"; name: string; count: number };

/** Groups stand in the order of their newest run, and runs in the order they came. */
export function rowsOf(runs: readonly Run[], group: string | undefined): RunsRow[] {
  if (group === undefined) return runs.map((run) => ({ kind: "run", run }));
  const groups = new Map<string, Run[]>();
  for (const run of runs) {
    const name = groupOf(run, group);
    const members = groups.get(name);
    if (members === undefined) groups.set(name, [run]);
    else members.push(run);
  }
  return [...groups].flatMap(([name, members]): RunsRow[] => [
    { kind: "group", name, count: members.length },
    ...members.map((run): RunsRow => ({ kind: "run", run })),
  ]);
}

function groupOf(run: Run, group: string): string {
  if (group === "pipeline" || group === "state" || group === "stack") return run[group];
  const name = group.slice("params.".length);
  const value = run.params[name];
  return value === undefined ? `no ${name}` : `${name} = ${value}`;
}

/** Names of the parameters that the runs have, sorted. */
export function parameterNames(runs: readonly Run[]): string[] {
  return [...new Set(runs.flatMap(({ params }) => Object.keys(params)))].sort();
}
