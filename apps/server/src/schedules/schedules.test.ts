import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";
import { dueInstants } from "./schedules.ts";

const pipeline = (extra = "") => `
name: nightly
params: { day: "none" }
schedule: { cron: "0 3 * * *", timezone: Europe/Madrid, params: { day: "\${{ run.date }}" } }
${extra}
steps:
  say: { run: "echo \${{ params.day }} \${{ run.date }}" }
`;

test("due instants follow the time zone through its summer time", () => {
  const schedule = { cron: "0 3 * * *", timezone: "Europe/Madrid" };
  const due = dueInstants(schedule, new Date("2001-03-24T00:00:00Z"), new Date("2001-03-26T12:00:00Z"));
  expect(due.map((instant) => instant.toISOString())).toEqual([
    "2001-03-24T02:00:00.000Z",
    "2001-03-25T01:00:00.000Z",
    "2001-03-26T01:00:00.000Z",
  ]);
  expect(() => dueInstants({ cron: "* * * * *", timezone: "UTC" }, new Date(0), new Date(86_400_000))).toThrow(/1000/);
});

test("a backfill makes one run for each due instant, and none twice", async () => {
  const { client } = await startForTest(await makeProject({ "pipelines/nightly.yaml": pipeline() }));
  expect((await client.call("schedules.list")).items).toMatchObject([
    { pipeline: "nightly", paused: false, next: expect.any(String) },
  ]);
  const params = { pipeline: "nightly" };
  const body = { from: "2001-04-01", to: "2001-04-03" };
  const { runs } = await client.call("schedules.backfill", { params, body });
  expect(runs.map((run) => run.due)).toEqual(["2001-04-01T01:00:00.000Z", "2001-04-02T01:00:00.000Z"]);
  for (const { runId } of runs) await runToEnd(client, runId);
  const log = await client.call("logs.get", { params: { runId: runs[0]?.runId ?? "", step: "say" } });
  expect(log.text).toBe("2001-04-01 2001-04-01T01:00:00.000Z\n");
  const again = await client.call("schedules.backfill", { params, body: { ...body, to: "2001-04-04" } });
  expect(again.runs.map((run) => run.created)).toEqual([false, false, true]);
  expect((await client.call("schedules.pause", { params })).paused).toBe(true);
  expect((await client.call("schedules.resume", { params })).paused).toBe(false);
  await expect(client.call("schedules.pause", { params: { pipeline: "other" } })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
});

test("the end of a run is told to its webhook once, as a CloudEvent", async () => {
  const told = Promise.withResolvers<{ headers: Record<string, unknown>; body: string }>();
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      response.end();
      told.resolve({ headers: request.headers, body });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
    const { client } = await startForTest(
      await makeProject({
        "pipelines/bad.yaml": `name: bad\nnotify: { webhook: "${url}" }\nsteps:\n  fail: { run: "exit 3" }\n`,
      }),
    );
    const { id } = await client.call("runs.create", { body: { pipeline: "bad" } });
    await runToEnd(client, id);
    const { headers, body } = await told.promise;
    expect(headers["content-type"]).toBe("application/cloudevents+json");
    expect(JSON.parse(body)).toMatchObject({
      specversion: "1.0",
      type: "dev.espalier.run.failed",
      data: { pipeline: "bad", runId: id, state: "failed" },
    });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});
