import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import type { BuiltinDeclaration } from "../builtin.ts";
import { digestOfJson } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import { type Behaviour, createWorkshop, type Workshop } from "./workshop.test-support.ts";

const open: Workshop[] = [];
const workshop = (...call: Parameters<typeof createWorkshop>): Workshop => {
  const made = createWorkshop(...call);
  open.push(made);
  return made;
};
afterEach(async () => {
  for (const made of open.splice(0)) await made.engine.stop();
});

const value = { type: "value" } as const;
const file = { type: "file" } as const;
/** A step that goes on until the test says so. */
function held(): { behaviour: Behaviour; begun: Promise<void>; release: (result?: number) => void } {
  const begun = Promise.withResolvers<void>();
  const end = Promise.withResolvers<number | Record<string, never>>();
  return {
    behaviour: () => {
      begun.resolve();
      return end.promise;
    },
    begun: begun.promise,
    release: (result) => end.resolve(result ?? {}),
  };
}

const chain = {
  a: { run: "a", outputs: { out: file } },
  b: { run: "b", inputs: { in: "a.out" }, outputs: { out: file } },
  c: { run: "c", inputs: { in: "b.out" }, outputs: { out: file } },
};

test("steps run after what they need, and a second run is all cached", async () => {
  const shop = workshop({});
  const first = await shop.run({ steps: { c: chain.c, b: chain.b, a: chain.a } });
  expect(await shop.finish(first)).toEqual({ a: "succeeded", b: "succeeded", c: "succeeded" });
  expect(shop.started).toEqual(["a", "b", "c"]);
  const second = await shop.run({ steps: chain });
  expect(await shop.finish(second)).toEqual({ a: "cached", b: "cached", c: "cached" });
  expect(shop.started).toHaveLength(3);
  expect((await shop.row(second, "c")).cachedFrom).toBe((await shop.record.attempts(first))[2]?.id);
});

test("a hit needs its blobs", async () => {
  const shop = workshop({});
  const first = await shop.run({ steps: chain });
  await shop.finish(first);
  const b = (await shop.row(first, "b")).outputs?.out;
  shop.blobs.delete(b?.digest ?? "");
  const states = await shop.finish(await shop.run({ steps: chain }));
  expect(states).toEqual({ a: "cached", b: "succeeded", c: "cached" });
});

test("a changed parameter re-runs only what depends on it", async () => {
  const shop = workshop({ b: (order) => ({ out: `b${order.params.rate}` }) });
  const steps = { ...chain, b: { ...chain.b, params: ["rate"] }, other: { run: "o", outputs: { out: file } } };
  await shop.finish(await shop.run({ steps, params: { rate: 1 } }));
  const again = await shop.run({ steps, params: { rate: 1 } }, {}, { params: { rate: 2 } });
  expect(await shop.finish(again)).toEqual({ a: "cached", b: "succeeded", c: "succeeded", other: "cached" });
});

test("a failure skips what needs it; independent branches finish; the error keeps the log's tail", async () => {
  const shop = workshop({ a: () => 3 });
  const id = await shop.run({ steps: { ...chain, other: { run: "o" }, last: { run: "l", needs: ["other"] } } });
  expect(await shop.finish(id)).toEqual({
    a: "failed",
    b: "skipped",
    c: "skipped",
    other: "succeeded",
    last: "succeeded",
  });
  const run = await shop.record.run(id);
  expect(run?.state).toBe("failed");
  expect(run?.error?.message).toContain("exit code 3");
  expect((await shop.row(id, "a")).error?.details).toMatchObject({ exitCode: 3, logTail: "log of a" });
  expect((await shop.row(id, "c")).reason).toBe("b is skipped");
});

test("retries follow their causes", async () => {
  const shop = workshop({ a: (_order, attempt) => (attempt < 3 ? 1 : {}), b: () => 1 });
  const retry = { attempts: 3, delaySeconds: 0.1 };
  const id = await shop.run({
    steps: { a: { run: "a", retry }, b: { run: "b", retry: { ...retry, causes: ["lost", "timeout"] } } },
  });
  expect(await shop.finish(id)).toEqual({ a: "succeeded", b: "failed" });
  expect(shop.started.filter((name) => name === "a")).toHaveLength(3);
  expect(shop.started.filter((name) => name === "b")).toHaveLength(1);
  const attempts = (await shop.record.attempts(id)).filter((attempt) => attempt.step === "a");
  expect(attempts.map(({ number, state, cause }) => [number, state, cause])).toEqual([
    [1, "failed", "exit"],
    [2, "failed", "exit"],
    [3, "succeeded", undefined],
  ]);
});

test("a timeout stops the step and says so", async () => {
  const shop = workshop({ a: () => new Promise(() => undefined) });
  const id = await shop.run({ steps: { a: { run: "a", timeoutSeconds: 0.5 } } });
  expect(await shop.finish(id)).toEqual({ a: "failed" });
  expect(shop.cancelled).toEqual(["a"]);
  expect((await shop.record.attempts(id))[0]?.cause).toBe("timeout");
});

test("cancelling stops what runs and writes off what waits", async () => {
  const { behaviour, begun } = held();
  const shop = workshop({ a: behaviour });
  const id = await shop.run({ steps: chain });
  await begun;
  await shop.record.requestCancel(id);
  shop.engine.wake(id);
  expect(await shop.finish(id)).toEqual({ a: "cancelled", b: "cancelled", c: "cancelled" });
  expect((await shop.record.run(id))?.state).toBe("cancelled");
  expect(shop.cancelled).toEqual(["a"]);
});

test("`when` reads values and parameters", async () => {
  const shop = workshop({ a: () => ({ n: 3 }) });
  const id = await shop.run({
    params: { most: 5 },
    steps: {
      a: { run: "a", outputs: { n: value } },
      yes: { run: "y", when: "a.n < params.most" },
      no: { run: "n", when: "a.n > params.most" },
      after: { run: "x", needs: ["no"] },
    },
  });
  expect(await shop.finish(id)).toEqual({ a: "succeeded", yes: "succeeded", no: "skipped", after: "skipped" });
});

test("a map runs one branch an item and gathers in order; values become a list", async () => {
  const shop = workshop({
    split: () => ({ parts: ["x", "y", "z"] }),
    each: (order) => ({ size: `${order.params.part}!`, out: String(order.params.part) }),
    join: (order) => ({ seen: order.inputs.all?.type ?? "none" }),
  });
  const steps = {
    split: { run: "s", outputs: { parts: value } },
    each: { run: "e", map: { over: "split.parts", as: "part", concurrency: 1 }, outputs: { size: value, out: file } },
    join: { run: "j", inputs: { all: "each.out", sizes: "each.size" }, outputs: { seen: value } },
  };
  const id = await shop.run({ steps });
  expect(await shop.finish(id)).toEqual({ split: "succeeded", each: "succeeded", join: "succeeded" });
  expect(shop.started).toEqual(["split", "each[0]", "each[1]", "each[2]", "join"]);
  expect((await shop.row(id, "each")).values).toEqual({ size: ["x!", "y!", "z!"] });
  expect((await shop.row(id, "join")).values).toEqual({ seen: "tree" });
  expect(await shop.finish(await shop.run({ steps }))).toEqual({ split: "cached", each: "cached", join: "cached" });
});

test("an empty map succeeds with empty outputs", async () => {
  const shop = workshop({});
  const id = await shop.run({ steps: { a: { run: "a", map: { over: "[]", as: "x" }, outputs: { v: value } } } });
  expect(await shop.finish(id)).toEqual({ a: "succeeded" });
  expect((await shop.row(id, "a")).values).toEqual({ v: [] });
});

test("the limit of a compute holds over all runs", async () => {
  let now = 0;
  let most = 0;
  const busy: Behaviour = async () => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now -= 1;
    return {};
  };
  const names = ["a", "b", "c", "d", "e"];
  const shop = workshop(Object.fromEntries(names.map((name) => [name, busy])), { limit: 2 });
  const steps = Object.fromEntries(names.map((name) => [name, { run: name }]));
  const ids = [await shop.run({ steps }), await shop.run({ steps }, { force: true })];
  for (const id of ids) await shop.finish(id);
  expect(most).toBe(2);
});

test("an engine that dies is followed by one that adopts what runs", async () => {
  const { behaviour, begun, release } = held();
  const shop = workshop({ a: behaviour });
  const id = await shop.run({ steps: chain });
  await begun;
  await shop.crash();
  release();
  expect(await shop.finish(id)).toEqual({ a: "succeeded", b: "succeeded", c: "succeeded" });
  expect(shop.started).toEqual(["a", "b", "c"]);
});

test("a lost lease makes the engine let go without touching the step", async () => {
  const { behaviour, begun, release } = held();
  const shop = workshop({ a: behaviour });
  const id = await shop.run({ steps: chain });
  await begun;
  shop.record.dropLeases();
  await shop.record.claimRuns("somebody else", 30);
  release();
  await shop.engine.stop();
  expect((await shop.row(id, "a")).state).toBe("running");
  expect(shop.cancelled).toEqual([]);
});

test("--only runs what is named on cached inputs; --from also what follows; --force everything", async () => {
  const shop = workshop({});
  const nothing = await shop.run({ steps: chain }, { only: ["b"] });
  expect(await shop.finish(nothing)).toEqual({ a: "failed", b: "skipped", c: "skipped" });
  expect((await shop.row(nothing, "a")).error?.code).toBe("NOT_FOUND");
  await shop.finish(await shop.run({ steps: chain }));
  shop.started.length = 0;
  const only = await shop.run({ steps: chain }, { only: ["b"] });
  expect(await shop.finish(only)).toEqual({ a: "cached", b: "succeeded", c: "skipped" });
  const from = await shop.run({ steps: chain }, { from: ["b"] });
  expect(await shop.finish(from)).toEqual({ a: "cached", b: "succeeded", c: "succeeded" });
  const force = await shop.run({ steps: chain }, { force: true });
  expect(await shop.finish(force)).toEqual({ a: "succeeded", b: "succeeded", c: "succeeded" });
  expect(shop.started).toEqual(["b", "b", "c", "a", "b", "c"]);
});

test("an unknown step under --only fails the run with the names there are", async () => {
  const shop = workshop({}, { onError: () => undefined });
  const id = await shop.run({ steps: chain }, { only: ["nothing"] });
  await shop.engine.finished(id);
  expect((await shop.record.run(id))?.error).toMatchObject({ code: "INVALID_INPUT", hint: "Known steps: a, b, c." });
});

test("a resumed run takes over what was finished, also without cache and under --force", async () => {
  let broken = true;
  const shop = workshop({ c: () => (broken ? 1 : {}) });
  const steps = { ...chain, a: { ...chain.a, cache: false } };
  const failed = await shop.run({ steps }, { force: true });
  expect(await shop.finish(failed)).toEqual({ a: "succeeded", b: "succeeded", c: "failed" });
  broken = false;
  const resumed = await shop.run({ steps }, { force: true, resumes: failed });
  expect(await shop.finish(resumed)).toEqual({ a: "cached", b: "cached", c: "succeeded" });
  expect(shop.started).toEqual(["a", "b", "c", "c"]);
});

const builtin = (
  name: string,
  kind: "data" | "record",
  outputs: BuiltinDeclaration["outputs"],
): BuiltinDeclaration => ({
  name,
  version: 1,
  summary: name,
  kind,
  with: z.strictObject({}),
  inputs: {},
  outputs,
  cacheable: kind === "data",
});

test("a record step that waits is asked again when the run is woken", async () => {
  let approved = false;
  const shop = workshop(
    {},
    {
      builtins: { approve: builtin("approve", "record", {}) },
      recordSteps: {
        approve: async () => (approved ? { outputs: {} } : { state: "waiting", reason: "waits for a person" }),
      },
    },
  );
  const id = await shop.run({ steps: { ok: { uses: "approve" }, after: { run: "t", needs: ["ok"] } } });
  while ((await shop.row(id, "ok")).state !== "waiting") await new Promise((resolve) => setImmediate(resolve));
  await shop.crash();
  approved = true;
  shop.engine.wake(id);
  expect(await shop.finish(id)).toEqual({ ok: "succeeded", after: "succeeded" });
});

const gateStep = {
  gate: {
    uses: "gate",
    inputs: { candidate: "train.model", champion: "models:/m@champion", policy: "./gate.yaml" },
  },
  train: { run: "t", outputs: { model: { type: "model" as const } } },
};
const gate = builtin("gate", "data", { model: "model", verdict: "value" });

test("a gate that refuses fails its step with the verdict", async () => {
  const shop = workshop({ gate: () => ({ verdict: { decision: "fail" } }) }, { builtins: { gate } });
  const policy = { type: "file", digest: digestOfJson("policy"), size: 1 } as const;
  const resolved = { "models:/m@champion": null, "./gate.yaml": policy };
  const id = await shop.run({ steps: gateStep }, {}, { resolved });
  expect(await shop.finish(id)).toEqual({ train: "succeeded", gate: "failed" });
  expect((await shop.row(id, "gate")).error).toMatchObject({
    code: "GATE_REFUSED",
    details: { verdict: { decision: "fail" } },
  });
});

test("a candidate that is the champion keeps the verdict that let it through", async () => {
  const asked: string[] = [];
  const model = { type: "model", digest: digestOfJson("m"), size: 3 } as const;
  const shop = workshop(
    { train: () => ({ model: "m" }) },
    {
      builtins: { gate },
      findVerdict: async (candidate, policy) => {
        asked.push(candidate, policy);
        return {
          attemptId: "old",
          runId: "old",
          outputs: { model, verdict: model },
          values: { verdict: { decision: "pass" } },
        };
      },
    },
  );
  const policy = { type: "file", digest: digestOfJson("policy"), size: 1 } as const;
  const resolved = { "models:/m@champion": model, "./gate.yaml": policy };
  const id = await shop.run({ steps: gateStep }, {}, { resolved });
  expect(await shop.finish(id)).toEqual({ train: "succeeded", gate: "cached" });
  expect(asked).toEqual([model.digest, policy.digest]);
  expect(shop.started).toEqual(["train"]);
});

test("a tool that is gone after a restart fails the step and closes its attempt", async () => {
  const { behaviour, begun } = held();
  let gone = false;
  const shop = workshop({ a: behaviour });
  const id = await shop.run({ steps: chain });
  await begun;
  gone = true;
  const { runnerFor } = shop.options;
  shop.options.runnerFor = (step, run) => {
    if (gone) throw new EspalierError("NOT_INSTALLED", "the tool is gone");
    return runnerFor(step, run);
  };
  await shop.crash();
  expect(await shop.finish(id)).toEqual({ a: "failed", b: "skipped", c: "skipped" });
  expect((await shop.record.attempts(id)).map(({ state, message }) => [state, message])).toEqual([
    ["lost", "the tool is gone"],
  ]);
});

test("a run cancelled while its step is being prepared never starts it", async () => {
  const preparing = Promise.withResolvers<void>();
  const shop = workshop({});
  const { staging } = shop.options;
  shop.options.staging = {
    ...staging,
    prepare: () => {
      preparing.resolve();
      return new Promise(() => undefined);
    },
  };
  const id = await shop.run({ steps: chain });
  await preparing.promise;
  await shop.record.requestCancel(id);
  shop.engine.wake(id);
  expect(await shop.finish(id)).toEqual({ a: "cancelled", b: "cancelled", c: "cancelled" });
  expect(shop.started).toEqual([]);
});

test("a lease is renewed from the claim on, however long it takes to read the run", async () => {
  const shop = workshop({}, { leaseSeconds: 0.03 });
  const renewed = Promise.withResolvers<void>();
  const { steps, renewLeases } = shop.record;
  let reading = 0;
  shop.record.steps = async (runId) => {
    if (++reading === 1) await renewed.promise;
    return steps(runId);
  };
  shop.record.renewLeases = async (leases, seconds) => {
    const kept = await renewLeases(leases, seconds);
    if (kept.length > 0) renewed.resolve();
    return kept;
  };
  await shop.engine.start();
  expect(await shop.finish(await shop.run({ steps: chain }))).toEqual({
    a: "succeeded",
    b: "succeeded",
    c: "succeeded",
  });
});
