import { randomUUID } from "node:crypto";
import { digestOfJson, type EndpointSpec } from "@espalier/core";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import type { Page } from "./page.ts";
import { describeOnBoth } from "./testing/databases.ts";
import { newRun, runAttempt } from "./testing/runs.ts";

const artifact = (content: string) => ({ type: "model", digest: digestOfJson(content), size: 1 }) as const;

/** All items, a page of two at a time. */
async function all<Item>(list: (request: { limit: number; cursor?: string }) => Promise<Page<Item>>): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const page = await list({ limit: 2, ...(cursor === undefined ? {} : { cursor }) });
    items.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  return items;
}

describeOnBoth("the record", await startPostgres(), (database) => {
  test("runs are listed page by page, found by a beginning of their id, and told as events", async () => {
    const record = await database.open();
    const ids = ["AAA1", "AAB2", "BBB3", "CCC4", "DDD5"];
    for (const id of ids) await record.engine.createRun(newRun({ id }));
    expect((await all((page) => record.runs.list({}, page))).map((run) => run.id).sort()).toEqual(ids);
    expect(await record.runs.list({ state: "running" }, {})).toEqual({ items: [] });
    expect(await record.runs.resolve("B")).toBe("BBB3");
    await expect(record.runs.resolve("AA")).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(record.runs.resolve("nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(record.runs.list({}, { cursor: "bm9uc2Vuc2U" })).rejects.toMatchObject({ code: "INVALID_INPUT" });

    const heard: string[] = [];
    const stop = record.listeners.listen("BBB3", () => heard.push("BBB3"));
    await runAttempt(record, "BBB3", [{ type: "note", text: "hello" }]);
    stop();
    expect(heard.length).toBeGreaterThan(3);
    const events = await record.runs.events("BBB3", 0);
    expect(events.map((event) => event.number)).toEqual(events.map((_, index) => index + 1));
    expect(events.map((event) => event.type)).toEqual([
      "run.created",
      "run.claimed",
      "run.running",
      "step.running",
      "attempt.created",
      "attempt.submitted",
      "step.note",
      "attempt.succeeded",
      "step.succeeded",
    ]);
    expect(await record.runs.events("BBB3", 7, 1)).toMatchObject([{ number: 8, type: "attempt.succeeded" }]);
    expect(await record.runs.counts("BBB3")).toEqual({ succeeded: 1, pending: 1 });
    expect(await record.runs.outputs("BBB3", {})).toMatchObject({ items: [{ step: "train", output: "model" }] });
  });

  test("metrics keep NaN, infinities and 64-bit steps, and runs are compared", async () => {
    const record = await database.open();
    const big = 2n ** 62n;
    await record.engine.createRun(newRun({ id: "one" }));
    const attempt = await runAttempt(record, "one", [
      { type: "metric", key: "auc", value: 0.5, step: 1, timestamp: 1.5 },
      { type: "metric", key: "auc", value: "NaN", step: 2, timestamp: 1 },
      { type: "metric", key: "auc", value: "-Infinity", step: 3, timestamp: 1 },
      { type: "metric", key: "zero", value: -0, step: 0, timestamp: 1 },
    ]);
    await record.runMetrics.log(attempt, [{ key: "big", value: 1, step: big, timestamp: 5 }]);
    await record.runMetrics.log(attempt, [{ key: "big", value: 1, step: big, timestamp: 5 }]);
    const points = await all((page) => record.runMetrics.history("one", {}, page));
    expect(points.map(({ key, value, step, timestamp }) => [key, value, step, timestamp])).toEqual([
      ["auc", 0.5, 1, 1],
      ["auc", Number.NaN, 2, 1],
      ["auc", Number.NEGATIVE_INFINITY, 3, 1],
      ["big", 1, big, 5],
      ["zero", 0, 0, 1],
    ]);
    expect(await record.runMetrics.history("one", { key: "big", step: "train" }, {})).toMatchObject({
      items: [{ step: big }],
    });
    await record.engine.createRun(newRun({ id: "two", params: { rate: 0.3 } }));
    const compared = await record.runMetrics.compare(["one", "two"]);
    expect(compared.params).toEqual([{ name: "rate", values: [0.1, 0.3], differs: true }]);
    expect(compared.metrics.find((metric) => metric.key === "auc")).toMatchObject({
      values: [Number.NEGATIVE_INFINITY, null],
    });
    expect(compared.outputs).toMatchObject([{ step: "train", output: "model", differs: true }]);
  });

  test("a dataset's content is one version, however often it is logged, and by how many at once", async () => {
    const projectId = randomUUID();
    const [one, two] = [await database.open(projectId), await database.open(projectId)];
    const version = {
      name: "flights",
      digest: artifact("a").digest,
      artifact: artifact("a"),
      rows: 3,
      createdBy: "ana",
    };
    const logged = await Promise.all([one, two, one, two].map((record) => record.datasets.log(version)));
    expect(logged.filter((row) => row.created)).toHaveLength(1);
    expect(new Set(logged.map((row) => row.version))).toEqual(new Set([1]));
    for (const content of ["b", "c"]) await one.datasets.log({ ...version, digest: artifact(content).digest });
    expect((await all((page) => one.datasets.versions("flights", page))).map((row) => row.version)).toEqual([3, 2, 1]);
    expect(await one.datasets.get("flights", "latest")).toMatchObject({ version: 3, digest: artifact("c").digest });
    expect(await one.datasets.get("flights", 9)).toBeUndefined();
    expect((await one.datasets.list({})).items).toMatchObject([{ name: "flights", versions: 3, latest: 3 }]);
  });

  test("a model is registered once a digest and verdict; an alias moves only as its mover believes", async () => {
    const record = await database.open();
    const verdict = {
      policy: "p",
      policyDigest: digestOfJson("p"),
      candidateDigest: artifact("a").digest,
      report: { auc: 1 },
    };
    await record.verdicts.save({ id: "v1", ...verdict, outcome: "refused", allowed: false });
    await record.verdicts.save({ id: "v2", ...verdict, outcome: "passed", allowed: true });
    expect(await record.verdicts.allowing(artifact("a").digest)).toMatchObject({ id: "v2" });
    const version = { name: "delay", artifact: artifact("a"), registeredBy: "ana", tags: { color: "red" } };
    const first = await record.models.register({ ...version, verdictId: "v2" });
    expect(first).toMatchObject({ version: 1, created: true, verdictId: "v2", tags: { color: "red" }, aliases: [] });
    expect(await record.models.register({ ...version, verdictId: "v2" })).toMatchObject({ version: 1, created: false });
    expect(await record.models.register(version)).toMatchObject({ version: 2, created: true });

    const change = { name: "delay", alias: "champion", changedBy: "ana" };
    await record.aliases.set({ ...change, toVersion: 1, expectedVersion: null });
    expect(await record.aliases.set({ ...change, toVersion: 1 })).toEqual({ previous: 1, changed: false });
    const moves = await Promise.allSettled([
      record.aliases.set({ ...change, toVersion: 2, expectedVersion: 1 }),
      record.aliases.set({ ...change, toVersion: undefined, expectedVersion: 1 }),
    ]);
    expect(moves.filter((move) => move.status === "fulfilled")).toHaveLength(1);
    expect(moves.find((move) => move.status === "rejected")?.reason).toMatchObject({ code: "CONFLICT" });
    await record.aliases.set({ ...change, toVersion: 2 });
    expect(await record.models.version("delay", "@champion")).toMatchObject({ version: 2, aliases: ["champion"] });
    expect(await record.models.version("delay", "@nobody")).toBeUndefined();
    expect(await record.models.get("delay")).toMatchObject({ versions: 2, latest: 2, aliases: { champion: 2 } });
    await expect(record.aliases.set({ ...change, toVersion: 7 })).rejects.toMatchObject({ code: "NOT_FOUND" });
    const history = await all((page) => record.aliases.history("delay", page));
    expect(history.map((row) => row.number)).toEqual(history.map((_, index) => history.length - index));
    await record.models.setTags("delay", 1, { color: undefined, size: "big" });
    expect((await record.models.versions("delay", {})).items.at(-1)).toMatchObject({ tags: { size: "big" } });
  });

  test("an endpoint keeps every generation, and only one of two changers wins", async () => {
    const record = await database.open();
    const spec: EndpointSpec = { name: "flights", generation: 0, versions: [], captureRate: 1, port: 0 };
    const change = { spec, reason: "first", changedBy: "ana" };
    await record.endpoints.save({ ...change, expectedGeneration: 0 });
    const saves = await Promise.allSettled(
      [1, 2].map(() => record.endpoints.save({ ...change, expectedGeneration: 1 })),
    );
    expect(saves.map((save) => save.status).sort()).toEqual(["fulfilled", "rejected"]);
    await expect(record.endpoints.save({ ...change, expectedGeneration: 0 })).rejects.toMatchObject({
      code: "CONFLICT",
    });
    const status = { name: "flights", generation: 2, url: "http://127.0.0.1:1", ready: true, versions: [] };
    await record.endpoints.saveStatus(status);
    await record.endpoints.saveStatus({ ...status, generation: 1, ready: false });
    expect(await record.endpoints.get("flights")).toMatchObject({ generation: 2, spec: { generation: 2 }, status });
    expect((await record.endpoints.history("flights", {})).items.map((row) => row.generation)).toEqual([2, 1]);
    await record.endpoints.delete("flights", { reason: "no use", changedBy: "bo" });
    expect(await record.endpoints.list({})).toEqual({ items: [] });
    const [last] = (await record.endpoints.history("flights", {})).items;
    expect(last).toMatchObject({ generation: 3, reason: "no use", changedBy: "bo", spec: { versions: [] } });
    expect(await record.endpoints.save({ ...change, expectedGeneration: 3 })).toMatchObject({ generation: 4 });
  });

  test("an endpoint has one rollout at a time, which ends once", async () => {
    const record = await database.open();
    const rollout = {
      endpoint: "flights",
      model: "m",
      toVersion: "2",
      strategy: "canary",
      weight: 0.1,
      details: {},
    } as const;
    await record.rollouts.start({ id: "r1", ...rollout });
    expect(await record.rollouts.start({ id: "r1", ...rollout })).toMatchObject({ id: "r1", state: "pending" });
    await expect(record.rollouts.start({ id: "r2", ...rollout })).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await record.rollouts.update("r1", { state: "running", weight: 0.5 })).toMatchObject({ weight: 0.5 });
    expect(await record.rollouts.update("r1", { state: "rolled_back", reason: "errors" })).toMatchObject({
      weight: 0.5,
      reason: "errors",
    });
    await expect(record.rollouts.update("r1", { state: "succeeded" })).rejects.toMatchObject({ code: "CONFLICT" });
    await record.rollouts.start({ id: "r2", ...rollout });
    expect((await record.rollouts.active()).map((row) => row.id)).toEqual(["r2"]);
    expect((await record.rollouts.list("flights", {})).items).toHaveLength(2);
  });

  test("a schedule fires once a logical date, and makes up for a run that was never made", async () => {
    const record = await database.open();
    const schedule = {
      id: "train",
      pipeline: "train",
      cron: "0 3 * * 1",
      timezone: "UTC",
      catchUp: false,
      overlap: "skip",
    } as const;
    const made = await record.schedules.upsert(schedule);
    expect(await record.schedules.pause("train")).toMatchObject({ paused: true, dueFrom: made.dueFrom });
    expect(await record.schedules.upsert({ ...schedule, cron: "0 4 * * 1" })).toMatchObject({
      paused: true,
      cron: "0 4 * * 1",
    });
    expect((await record.schedules.resume("train")).dueFrom).toBeGreaterThanOrEqual(made.dueFrom);
    await expect(record.schedules.pause("none")).rejects.toMatchObject({ code: "NOT_FOUND" });

    const firing = { scheduleId: "train", logicalDate: 1000, kind: "fired" } as const;
    const fired = await Promise.all(["a", "b", "c"].map((runId) => record.firings.record({ ...firing, runId })));
    expect(fired.filter((one) => one.recorded)).toHaveLength(1);
    expect(new Set(fired.map((one) => one.runId)).size).toBe(1);
    expect(await record.firings.unstarted()).toMatchObject([{ logicalDate: 1000 }]);
    await record.engine.createRun(newRun({ id: fired[0]?.runId ?? "" }));
    expect(await record.firings.unstarted()).toEqual([]);
    await record.firings.record({ ...firing, logicalDate: 2000, kind: "queued" });
    expect(await record.firings.queued("train")).toMatchObject([{ logicalDate: 2000 }]);
    await record.firings.settle("train", 2000, { kind: "skipped", reason: "one is active" });
    await expect(record.firings.settle("train", 2000, { kind: "fired" })).rejects.toMatchObject({ code: "CONFLICT" });
    expect((await record.firings.list("train", {})).items.map((one) => one.kind)).toEqual(["skipped", "fired"]);
    expect((await record.schedules.list({})).items).toMatchObject([{ lastDue: 2000, lastRunId: fired[0]?.runId }]);
  });

  test("an approval is decided once", async () => {
    const record = await database.open();
    const question = { runId: "r", step: "approve", branch: -1, message: "Roll it out?" };
    const asked = await record.approvals.request({ id: "a1", ...question });
    expect(await record.approvals.request({ id: "a2", ...question })).toEqual(asked);
    expect(await record.approvals.waiting("r", "approve")).toEqual(asked);
    const decided = await record.approvals.decide("a1", { decision: "approve", decidedBy: "ana", comment: "fine" });
    expect(decided).toMatchObject({ state: "approved", decidedBy: "ana", comment: "fine" });
    expect(await record.approvals.decide("a1", { decision: "approve", decidedBy: "bea" })).toEqual(decided);
    await expect(record.approvals.decide("a1", { decision: "reject", decidedBy: "bea" })).rejects.toMatchObject({
      code: "CONFLICT",
    });
    await record.approvals.request({ id: "a3", ...question, step: "other" });
    await record.approvals.cancelOfRun("r");
    expect((await record.approvals.list({ state: "cancelled" }, {})).items.map((row) => row.id)).toEqual(["a3"]);
  });

  test("a monitor has one report a window, and keeps the run that it started", async () => {
    const record = await database.open();
    await record.monitors.upsert({ name: "drift", endpoint: "flights", spec: { psi: 0.2 }, enabled: true });
    await record.monitors.saveState("drift", { since: 1 });
    expect(
      await record.monitors.upsert({ name: "drift", endpoint: "flights", spec: {}, enabled: false }),
    ).toMatchObject({ state: { since: 1 }, enabled: false });
    const report = { monitor: "drift", windowStart: 0, windowEnd: 7, status: "alert", report: { psi: 1 } } as const;
    await record.monitors.saveReport({ ...report, runId: "r1" });
    await record.monitors.saveReport(report);
    await record.monitors.saveReport({ ...report, windowEnd: 9 });
    expect(
      (await all((page) => record.monitors.reports("drift", page))).map((row) => [row.windowEnd, row.runId]),
    ).toEqual([
      [9, undefined],
      [7, "r1"],
    ]);
    expect((await record.monitors.list({})).items.map((row) => row.name)).toEqual(["drift"]);
    await record.simulations.start({ id: "s", endpoint: "flights", progress: { days: 0 } });
    expect(await record.simulations.update("s", { progress: { days: 1 } })).toMatchObject({ state: "running" });
    expect(await record.simulations.update("s", { state: "succeeded" })).toMatchObject({ progress: { days: 1 } });
    await expect(record.simulations.update("s", { state: "failed" })).rejects.toMatchObject({ code: "CONFLICT" });
    expect((await record.simulations.list({})).items).toHaveLength(1);
  });

  test("a token is known by its text alone, until it is revoked or expires", async () => {
    const record = await database.open();
    const { token, id } = await record.tokens.create({ name: "ci", role: "editor", createdBy: "ana" });
    expect(await record.tokens.verify(token)).toMatchObject({ id, role: "editor", scope: { kind: "project" } });
    expect(await (await database.open()).tokens.verify(token), "another project's record knows it").toBeUndefined();
    const old = await record.tokens.create({ name: "old", role: "admin", createdBy: "ana", expiresInSeconds: -1 });
    expect(await record.tokens.verify(old.token)).toBeUndefined();
    const scoped = await record.tokens.create({
      name: "step",
      role: "viewer",
      createdBy: "engine",
      scope: { kind: "attempt", id: "a" },
    });
    expect(await record.tokens.verify(scoped.token)).toMatchObject({ scope: { kind: "attempt", id: "a" } });
    await record.tokens.revokeScope({ kind: "attempt", id: "a" });
    await record.tokens.revoke(id);
    expect(await record.tokens.verify(token)).toBeUndefined();
    expect(await record.tokens.verify(scoped.token)).toBeUndefined();
    const listed = await record.tokens.list({});
    expect(listed.items.map((row) => row.name).sort()).toEqual(["ci", "old"]);
    expect(JSON.stringify(listed)).not.toContain(token);
    await expect(record.tokens.revoke("none")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("audit rows are numbered without gaps by all who write", async () => {
    const projectId = randomUUID();
    const [one, two] = [await database.open(projectId), await database.open(projectId)];
    const entry = { actor: "ana", action: "runs.create", subject: "run:1", outcome: "ok", details: { a: 1 } };
    await Promise.all([one, two, one, two, one].map((record) => record.audit.append(entry)));
    expect((await all((page) => one.audit.list({ actor: "ana" }, page))).map((row) => row.id)).toEqual([5, 4, 3, 2, 1]);
    expect(await one.audit.list({ action: "none" }, {})).toEqual({ items: [] });
  });

  test("a notice is sent by one at a time, again after a failure, and never lost", async () => {
    const record = await database.open();
    for (const id of ["n1", "n2", "n1"])
      await record.notices.enqueue({ id, kind: "run.failed", target: "http://x", payload: { id } });
    const claims = await Promise.all([record.notices.claim(5, 60), record.notices.claim(5, 60)]);
    expect(
      claims
        .flat()
        .map((notice) => notice.id)
        .sort(),
    ).toEqual(["n1", "n2"]);
    await record.notices.done("n1");
    await record.notices.failed("n2", "refused", -1);
    expect(await record.notices.claim(5, 60)).toMatchObject([{ id: "n2", tries: 2, lastError: "refused" }]);
    await record.notices.failed("n2", "refused");
    await expect(record.notices.done("n2")).rejects.toMatchObject({ code: "CONFLICT" });
    expect((await record.notices.list({ state: "failed" }, {})).items.map((row) => row.id)).toEqual(["n2"]);
  });

  test("settings belong to the project, the database's name to all", async () => {
    const [one, two] = [await database.open(), await database.open()];
    await one.settings.set("stack", { name: "laptop" });
    await one.settings.set("stack", "aws");
    expect(await one.settings.get("stack")).toBe("aws");
    expect(await two.settings.get("stack")).toBeUndefined();
    expect(await one.settings.databaseId()).toBe(await two.settings.databaseId());
  });

  test("a run is forgotten with all that is its own, unless something refers to it", async () => {
    const record = await database.open();
    for (const id of ["gone", "kept", "active"])
      await record.engine.createRun(newRun({ id, snapshots: { "./src": artifact(id) } }));
    for (const id of ["gone", "kept"]) {
      await runAttempt(record, id, [{ type: "metric", key: "auc", value: 1 }]);
      await record.engine.moveRun(id, 1, { from: ["running"], to: "succeeded" });
    }
    await record.models.register({ name: "m", artifact: artifact("kept"), runId: "kept", registeredBy: "ana" });
    const digests = async () => {
      const found = new Set<string>();
      for await (const reference of record.references.artifacts()) found.add(reference.digest);
      return found;
    };
    expect(await digests()).toContain(artifact("gone").digest);
    const future = Date.now() + 3_600_000;
    expect(await record.retention.forgettable(future)).toEqual(["gone"]);
    expect(await record.retention.forget(future)).toEqual(["gone"]);
    expect(await record.runs.get("gone")).toBeUndefined();
    expect(await record.runMetrics.history("gone", {}, {})).toEqual({ items: [] });
    expect(await digests()).not.toContain(artifact("gone").digest);
    expect(await digests()).toContain(artifact("kept").digest);
  });
});
