import type { Client, Run } from "@espalier/contract";
import type { Ledger } from "@espalier/core";

const millisecondsADay = 24 * 3600 * 1000;

/** What the record tells since a day. */
export async function readLedger(client: Client, since: string, now: Date): Promise<Ledger> {
  const start = Date.parse(since);
  const runs: Run[] = [];
  for await (const run of client.all("runs.list", { query: { limit: 200 } })) {
    // Newest first: what comes next is older still.
    if (run.createdAt < start) break;
    runs.push(run);
  }
  const took = runs
    .filter((run) => run.state === "succeeded" && run.finishedAt !== undefined)
    .map((run) => ((run.finishedAt ?? 0) - (run.startedAt ?? run.createdAt)) / (3600 * 1000));
  const stack = mostFrequent(runs.map((run) => run.stack));
  const sizes: number[] = [];
  for await (const dataset of client.all("datasets.list", {})) {
    const newest = await client.call("datasets.versions", { params: { name: dataset.name }, query: { limit: 1 } });
    sizes.push(newest.items[0]?.artifact.size ?? 0);
  }
  let models = 0;
  for await (const _ of client.all("models.list", {})) models++;
  const stacks = (await client.call("project.stacks")).items;
  const used = stacks.find(({ name, isDefault }) => (stack === undefined ? isDefault : name === stack));
  return {
    days: Math.max(0, (now.getTime() - start) / millisecondsADay),
    runs: runs.length,
    failedRuns: runs.filter(({ state }) => state === "failed").length,
    ...(took.length === 0 ? {} : { longestRunHours: Math.max(...took) }),
    ...(sizes.length === 0 ? {} : { dataGigabytes: sizes.reduce((sum, size) => sum + size, 0) / 1e9 }),
    models,
    ...(used === undefined ? {} : { stack: used.name }),
    tools: Object.fromEntries(used?.components.map(({ component, tool }) => [component, tool]) ?? []),
  };
}

function mostFrequent(values: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1])[0]?.[0];
}
