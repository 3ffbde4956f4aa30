import { digestOfBytes, type EndpointSpec, type EndpointStatus, type ServedVersion } from "@espalier/core";
import { describe, expect, it } from "vitest";
import { beginRollout, decideRollout } from "./decide-rollout.ts";
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

const plan = rolloutPlan("canary", { minimumRequests: 100 });
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
    expect(restarted).toMatchObject({ kind: "wait", progress: { looked: 30 } });
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
    const quiet = rolloutPlan("canary", { whenQuiet, quietSeconds: 60 });
    const first = beginRollout(quiet, spec(1, version(1, 1)), version(2, 0), undefined, 0);
    expect(decideRollout(progressOf(first), status({ 1: [3, 0], 2: [1, 0] }), 60_000).kind).toBe(kind);
  });
});

describe("other strategies", () => {
  it("direct and the first version of an endpoint take all traffic once ready", () => {
    const first = beginRollout(plan, undefined, version(1, 0), undefined, 0);
    expect(weights(first)).toEqual([["1", 1]]);
    expect(decideRollout(progressOf(first), status({ 1: [0, 0] }), 1).kind).toBe("succeed");
    const direct = beginRollout(rolloutPlan("direct"), spec(1, version(1, 1)), version(2, 0), undefined, 0);
    expect(weights(direct)).toEqual([
      ["1", 0],
      ["2", 1],
    ]);
  });

  it("blue-green loads without traffic, switches, watches, and lets the old one go", () => {
    const green = beginRollout(rolloutPlan("blue-green"), spec(1, version(1, 1)), version(2, 0), undefined, 0);
    expect(weights(green)).toEqual([
      ["1", 1],
      ["2", 0],
    ]);
    const switched = decideRollout(progressOf(green), status({ 1: [10, 0], 2: [0, 0] }), 1);
    expect(weights(switched)).toEqual([
      ["1", 0],
      ["2", 1],
    ]);
    expect(decideRollout(progressOf(switched), status({ 1: [10, 0], 2: [100, 0] }), 2).kind).toBe("succeed");
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
