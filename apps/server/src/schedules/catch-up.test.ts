import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

const year = new Date().getUTCFullYear();
const due = [year - 2, year - 1, year].map((one) => `${one}-01-01T00:00:00.000Z`);

/** The control plane was away on three due instants: its schedule is made to begin that long ago. */
async function awayForYears(overlap: string): Promise<string> {
  const project = await makeProject({
    "pipelines/yearly.yaml": `
name: yearly
schedule: { cron: "0 0 1 1 *", timezone: UTC, catch_up: true, overlap: ${overlap} }
steps:
  say: { run: "echo \${{ run.date }} > \${{ outputs.day }}", outputs: { day: file } }
`,
  });
  const first = await startForTest(project);
  await first.client.call("schedules.list");
  await first.close();
  const record = new DatabaseSync(join(project, ".espalier/record.db"));
  record.prepare("UPDATE schedules SET due_from = ?").run(Date.parse(due[0] ?? ""));
  record.close();
  return project;
}

test("catching up with `overlap: queue` makes every missed run, one after the other", async () => {
  const { client } = await startForTest(await awayForYears("queue"), { role: "up" });
  const seen: { logicalDate: string | undefined; createdAt: number; finishedAt: number }[] = [];
  for (const date of due) {
    const run = await runOf(client, date);
    await runToEnd(client, run);
    const detail = (await client.call("runs.get", { params: { runId: run } })).run;
    expect(detail.state).toBe("succeeded");
    seen.push({ logicalDate: detail.logicalDate, createdAt: detail.createdAt, finishedAt: detail.finishedAt ?? 0 });
  }
  expect(seen.map((run) => run.logicalDate)).toEqual(due);
  for (const [index, run] of seen.entries())
    expect(run.createdAt).toBeGreaterThanOrEqual(seen[index - 1]?.finishedAt ?? 0);
});

test("catching up with `overlap: allow` makes them all at once, and a restart makes none again", async () => {
  const project = await awayForYears("allow");
  const first = await startForTest(project, { role: "up" });
  for (const date of due) await runToEnd(first.client, await runOf(first.client, date));
  await first.close();
  const second = await startForTest(project, { role: "up" });
  expect((await second.client.call("runs.list")).items).toHaveLength(due.length);
});

/** The run of a due instant, once the schedule has made it. */
async function runOf(client: Awaited<ReturnType<typeof startForTest>>["client"], date: string): Promise<string> {
  for (;;) {
    const { items } = await client.call("runs.list");
    const found = items.find((run) => run.logicalDate === date);
    if (found !== undefined) return found.id;
  }
}
