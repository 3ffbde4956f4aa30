import {
  digestOfBytes,
  durationBounds,
  type EndpointSpec,
  type EndpointStatus,
  type ServedVersion,
  type ShadowCounts,
} from "@espalier/core";
import { describe, expect, it } from "vitest";
import { beginRollout, decideRollout, neededEvidence } from "./decide-rollout.ts";
import { rollbackSpec } from "./rollback-spec.ts";
import { type RolloutAction, type RolloutProgress, rolloutPlan } from "./rollout-plan.ts";

const version = (number: number, weight: number): ServedVersion => ({
  version: String(number),
  model: "flights",
  digest: digestOfBytes(String(number)),
  path: `models/${number}`,
  weight,
});

const spec = (generation: number, ...versions: ServedVersion[]): EndpointSpec => ({
  name: "flights",
  generation,
  versions,
  captureRate: 1,
  port: 0,
});

type Seen = readonly [requests: number, errors: number, ready?: boolean];

function status(seen: Readonly<Record<string, Seen>>): EndpointStatus {
  const versions = Object.entries(seen).map(([number, [requests, errors, ready]]) => ({
    version: number,
    requests,
    errors,
    ready: ready ?? true,
  }));
  return { name: "flights", generation: 1, url: "", ready: true, versions };
}

function progressOf(action: RolloutAction): RolloutProgress {
  if (action.kind !== "apply" && action.kind !== "wait") throw new Error(`${action.kind}: ${action.reason}`);
  return action.progress;
}

const weights = (action: RolloutAction) =>
  action.kind === "wait" ? undefined : action.versions.map((one) => [one.version, one.weight]);

const plan = rolloutPlan("canary", { minimum_requests: 100 });
const begun = () => beginRollout(plan, spec(1, version(1, 1)), version(2, 0), status({ 1: [5000, 0] }), 0);

describe("a canary", () => {
  it("grows step by step while it fails no more than the old version, and then stands alone", () => {
    const first = begun();
    expect(weights(first)).toEqual([
      ["1", 0.9],
      ["2", 0.1],
    ]);
    const few = decideRollout(progressOf(first), status({ 1: [5400, 0], 2: [50, 0] }), 1000);
    expect(few.kind).toBe("wait");
    const half = decideRollout(progressOf(few), status({ 1: [5900, 0], 2: [100, 0] }), 2000);
    expect(weights(half)).toEqual([
      ["1", 0.5],
      ["2", 0.5],
    ]);
    const all = decideRollout(progressOf(half), status({ 1: [6000, 0], 2: [200, 0] }), 3000);
    expect(weights(all)).toEqual([
      ["1", 0],
      ["2", 1],
    ]);
    const done = decideRollout(progressOf(all), status({ 1: [6000, 0], 2: [300, 0] }), 4000);
    expect(done.kind).toBe("succeed");
    expect(weights(done)).toEqual([["2", 1]]);
  });

  it("is judged by its own requests where another model has the same version number", () => {
    const other: ServedVersion = { ...version(1, 0), model: "flights-2", digest: digestOfBytes("other") };
    const seen = (old: Seen, young: Seen): EndpointStatus => ({
      ...status({}),
      versions: [
        { version: "1", model: "flights", requests: old[0], errors: old[1], ready: true },
        { version: "1", model: "flights-2", requests: young[0], errors: young[1], ready: young[2] ?? true },
      ],
    });
    const first = beginRollout(plan, spec(1, version(1, 1)), other, seen([5000, 0], [0, 0]), 0);
    expect(decideRollout(progressOf(first), seen([5400, 0], [0, 0, false]), 1000).reason).toContain("not ready");
    const failing = decideRollout(progressOf(first), seen([9000, 0], [8, 8]), 1000);
    expect([failing.kind, failing.reason]).toEqual(["roll-back", expect.stringContaining("100.00 % of 8")]);
  });

  it("rolls back at once when it fails from the first request on", () => {
    const action = decideRollout(progressOf(begun()), status({ 1: [5100, 0], 2: [8, 8] }), 1000);
    expect(action.kind).toBe("roll-back");
    expect(weights(action)).toEqual([["1", 1]]);
    expect(action.reason).toContain("100.00 % of 8");
  });

  it("rolls back at full weight too, where the old version has no traffic to compare with", () => {
    let action = begun();
    action = decideRollout(progressOf(action), status({ 1: [5900, 0], 2: [100, 0] }), 1);
    action = decideRollout(progressOf(action), status({ 1: [6000, 0], 2: [200, 0] }), 2);
    action = decideRollout(progressOf(action), status({ 1: [6000, 0], 2: [260, 30] }), 3);
    expect(action.kind).toBe("roll-back");
  });

  it("is not blamed for failures that the old version has as well", () => {
    const action = decideRollout(progressOf(begun()), status({ 1: [5900, 180], 2: [100, 20] }), 1000);
    expect(action.kind).toBe("apply");
  });

  it("goes on counting when the router began anew", () => {
    const half = decideRollout(progressOf(begun()), status({ 1: [5900, 0], 2: [100, 0] }), 1000);
    const restarted = decideRollout(progressOf(half), status({ 1: [40, 0], 2: [30, 0] }), 2000);
    expect(restarted).toMatchObject({ kind: "wait", progress: { looked: 0.3 } });
  });

  it("rolls back what does not get ready, but only after its time", () => {
    const unready = status({ 1: [5100, 0], 2: [0, 0, false] });
    const waiting = decideRollout(progressOf(begun()), unready, 1000);
    expect(waiting.kind).toBe("wait");
    expect(decideRollout(progressOf(waiting), unready, 120_000).kind).toBe("wait");
    expect(decideRollout(progressOf(waiting), unready, 121_000).kind).toBe("roll-back");
    const back = decideRollout(progressOf(waiting), status({ 1: [5100, 0], 2: [1, 0] }), 2000);
    expect(progressOf(back).unreadySince).toBeUndefined();
  });

  it.each([
    ["wait", "wait"],
    ["promote", "apply"],
    ["roll-back", "roll-back"],
  ] as const)("without traffic: %s", (whenQuiet, kind) => {
    const quiet = rolloutPlan("canary", { when_quiet: whenQuiet, quiet_seconds: 60 });
    const first = beginRollout(quiet, spec(1, version(1, 1)), version(2, 0), undefined, 0);
    expect(decideRollout(progressOf(first), status({ 1: [3, 0], 2: [1, 0] }), 60_000).kind).toBe(kind);
  });
});

describe("other strategies", () => {
  it("all at once and the first version of an endpoint take all traffic once ready", () => {
    const first = beginRollout(plan, undefined, version(1, 0), undefined, 0);
    expect(weights(first)).toEqual([["1", 1]]);
    expect(decideRollout(progressOf(first), status({ 1: [0, 0] }), 1).kind).toBe("succeed");
    const direct = beginRollout(rolloutPlan("all"), spec(1, version(1, 1)), version(2, 0), undefined, 0);
    expect(weights(direct)).toEqual([
      ["1", 0],
      ["2", 1],
    ]);
  });

  it("blue-green loads and tries without traffic, switches, watches, and keeps the old one for a while", () => {
    const green = beginRollout(rolloutPlan("blue-green"), spec(1, version(1, 1)), version(2, 0), undefined, 0);
    expect(weights(green)).toEqual([
      ["1", 1],
      ["2", 0],
    ]);
    const loaded = status({ 1: [10, 0], 2: [0, 0] });
    expect(neededEvidence(progressOf(green), loaded, 1)).toBe("smoke");
    const tried = (outcome: "pass" | "fail") => ({ smoke: { name: "smoke" as const, outcome, reason: "row 3" } });
    expect(decideRollout(progressOf(green), loaded, 1, tried("fail"))).toMatchObject({
      kind: "roll-back",
      reason: "row 3",
      progress: { analyses: [{ outcome: "rolled back", checks: [{ name: "smoke" }] }] },
    });
    const switched = decideRollout(progressOf(green), loaded, 1, tried("pass"));
    expect(weights(switched)).toEqual([
      ["1", 0],
      ["2", 1],
    ]);
    const done = decideRollout(progressOf(switched), status({ 1: [10, 0], 2: [100, 0] }), 2);
    expect(done).toMatchObject({
      kind: "succeed",
      promoted: true,
      versions: [
        { version: "1", weight: 0, keepUntil: 600_002 },
        { version: "2", weight: 1 },
      ],
    });
  });

  it("a shadow gets no traffic, is compared, and leaves", () => {
    const shadowPlan = rolloutPlan("shadow", { mirror: 0.5, minimum_requests: 100, minimum_agreement: 0.9 });
    const first = beginRollout(shadowPlan, spec(1, version(1, 1)), version(2, 0), status({ 1: [5, 0] }), 0);
    expect(first).toMatchObject({ weight: 0, versions: [{ weight: 1 }, { weight: 0, mirror: 0.5 }] });
    const seen = (counts: Partial<ShadowCounts>) => {
      const base = status({ 1: [500, 0], 2: [0, 0] });
      const none = { mirrored: 0, failed: 0, dropped: 0, compared: 0, agreed: 0 };
      const shadow = { ...none, numbers: 0, differenceSum: 0, differenceLargest: 0, ...counts };
      return { ...base, versions: base.versions.map((one) => (one.version === "2" ? { ...one, shadow } : one)) };
    };
    const progress = progressOf(first);
    expect(decideRollout(progress, seen({ mirrored: 40, compared: 40, agreed: 40 }), 1).kind).toBe("wait");
    expect(decideRollout(progress, seen({ mirrored: 100, failed: 60, compared: 40, agreed: 40 }), 1).kind).toBe(
      "roll-back",
    );
    expect(decideRollout(progress, seen({ mirrored: 100, compared: 100, agreed: 80 }), 1)).toMatchObject({
      kind: "roll-back",
      reason: expect.stringContaining("80 % of 100 predictions agree"),
    });
    const done = decideRollout(progress, seen({ mirrored: 100, compared: 100, agreed: 95 }), 1);
    expect(done).toMatchObject({ kind: "succeed", promoted: false, versions: [{ version: "1", weight: 1 }] });
    expect(done.reason).toContain("95 %");
  });
});

describe("the analysis of a step", () => {
  /** All of them in the bucket that holds so many seconds. */
  const durations = (count: number, seconds: number) => {
    const counts = new Array<number>(durationBounds.length + 1).fill(0);
    counts[durationBounds.findIndex((bound) => bound >= seconds)] = count;
    return counts;
  };
  const timed = (stable: number, candidate: number, requests = 100) => {
    const seen = status({ 1: [5000 + 900, 0], 2: [requests, 0] });
    return {
      ...seen,
      versions: seen.versions.map((one) => ({
        ...one,
        durations: one.version === "1" ? durations(900, stable) : durations(requests, candidate),
      })),
    };
  };

  it("rolls back what is too slow, by ratio and by more than the floor", () => {
    const slow = decideRollout(progressOf(begun()), timed(0.2, 0.9, 60), 1000);
    expect(slow).toMatchObject({ kind: "roll-back", reason: expect.stringContaining("Too slow") });
    expect(decideRollout(progressOf(begun()), timed(0.2, 0.3), 1000).kind).toBe("apply");
    // Ten slow requests are those of a process that has just begun.
    const begins = timed(0.2, 0.2);
    const candidate = begins.versions[1];
    if (candidate !== undefined)
      candidate.durations = durations(90, 0.2).map((n, at) => n + (durations(10, 0.9)[at] ?? 0));
    expect(decideRollout(progressOf(begun()), begins, 1000).kind).toBe("apply");
    // Three times as slow, but by 4 ms only.
    expect(decideRollout(progressOf(begun()), timed(0.002, 0.006), 1000).kind).toBe("apply");
  });

  it("holds a step for its least time, and watches failures for all of it", () => {
    const long = rolloutPlan("canary", { minimum_requests: 100, minimum_seconds: 60 });
    const first = beginRollout(long, spec(1, version(1, 1)), version(2, 0), status({ 1: [5000, 0] }), 0);
    const early = decideRollout(progressOf(first), status({ 1: [9000, 0], 2: [400, 0] }), 6_000);
    expect(early).toMatchObject({ kind: "wait", progress: { looked: 0.1 } });
    const bad = decideRollout(progressOf(early), status({ 1: [12_000, 0], 2: [700, 60] }), 12_000);
    expect(bad.kind).toBe("roll-back");
    expect(decideRollout(progressOf(early), status({ 1: [20_000, 0], 2: [2000, 0] }), 60_000).kind).toBe("apply");
  });

  it("looks at the capture only when nothing else is missing; a shift is judged where a limit is set", () => {
    const few = status({ 1: [5100, 0], 2: [50, 0] });
    const enough = status({ 1: [5900, 0], 2: [100, 0] });
    expect(neededEvidence(progressOf(begun()), few, 1)).toBeUndefined();
    expect(neededEvidence(progressOf(begun()), enough, 1)).toBe("traffic");
    const shift = { psi: 0.4, candidateRows: 100, stableRows: 900 };
    const reported = decideRollout(progressOf(begun()), enough, 1, { shift });
    expect(reported).toMatchObject({
      kind: "apply",
      progress: { analyses: [{ checks: expect.arrayContaining([expect.objectContaining({ name: "shift" })]) }] },
    });
    const limited = rolloutPlan("canary", { minimum_requests: 100, shift_limit: 0.25 });
    const first = beginRollout(limited, spec(1, version(1, 1)), version(2, 0), status({ 1: [5000, 0] }), 0);
    expect(decideRollout(progressOf(first), enough, 1, { shift }).kind).toBe("roll-back");
    expect(decideRollout(progressOf(first), enough, 1, { shift: { ...shift, psi: 0.1 } }).kind).toBe("apply");
  });

  it.each([
    ["auc", 0.75, "apply"],
    ["auc", 0.6, "roll-back"],
    ["log_loss", 0.75, "apply"],
    ["log_loss", 0.95, "roll-back"],
  ] as const)("waits for labels, then judges %s of %d", (name, value, kind) => {
    const measured = rolloutPlan("canary", {
      minimum_requests: 100,
      metric: { name, margin: 0.05, minimum_labels: 50 },
    });
    const first = beginRollout(measured, spec(1, version(1, 1)), version(2, 0), status({ 1: [5000, 0] }), 0);
    const enough = status({ 1: [5900, 0], 2: [100, 0] });
    const of = (center: number, labels: number) => ({
      value: center,
      lower: center - 0.02,
      upper: center + 0.02,
      labels,
    });
    const early = decideRollout(progressOf(first), enough, 1, {
      metric: { candidate: of(value, 10), stable: of(0.78, 900) },
    });
    expect(early.kind).toBe("wait");
    const metric = { candidate: of(value, 80), stable: of(0.78, 900) };
    expect(decideRollout(progressOf(early), enough, 2, { metric }).kind).toBe(kind);
    // A version that breaks meanwhile is not waited for.
    expect(decideRollout(progressOf(early), status({ 1: [9000, 0], 2: [200, 100] }), 3).kind).toBe("roll-back");
  });
});

describe("rollback", () => {
  const old = spec(1, version(1, 1));
  const canary = spec(2, version(1, 0.9), version(2, 0.1));
  const warm = spec(3, version(1, 0), version(2, 1));

  it("goes back to the version before the last rollout, also in the midst of one", () => {
    expect(rollbackSpec(warm, [old, canary, warm])).toMatchObject({
      generation: 4,
      versions: [{ version: "1", weight: 1 }],
    });
    expect(rollbackSpec(canary, [canary, old])).toMatchObject({ generation: 3, versions: [{ version: "1" }] });
  });

  it("says when there is nothing to go back to", () => {
    expect(() => rollbackSpec(old, [old])).toThrow("no earlier version");
  });
});
