import type { RouterState } from "@espalier/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { routed, type Upstream, upstream } from "../testing/routed.ts";
import { chooseVersion, keyFraction } from "./choose.ts";

describe("router", () => {
  let one: Upstream;
  let two: Upstream;
  let route: Awaited<ReturnType<typeof routed>>;
  let url: string;

  const state = (generation: number, weights: [number, number], captureRate = 0): RouterState => ({
    format: 1,
    endpoint: "flights",
    generation,
    captureRate,
    versions: [
      { key: "one", model: "m", version: "1", port: one.port, weight: weights[0] },
      { key: "two", model: "m", version: "2", port: two.port, weight: weights[1] },
    ],
  });
  const status = () => route.status();
  const predict: typeof route.predict = (...given) => route.predict(...given);
  const until: typeof route.until = (holds) => route.until(holds);
  const writeState: typeof route.writeState = (content) => route.writeState(content);

  beforeEach(async () => {
    [one, two] = [await upstream("one"), await upstream("two")];
    route = await routed(state(1, [1, 0]));
    url = route.url;
  });
  afterEach(async () => {
    await route.close();
    await Promise.all([one.close(), two.close()]);
  });

  it("passes on the body, the ids and the path, and says which version answered", async () => {
    const headers = { "x-espalier-prediction-id": "id-1", "x-espalier-capture": "1", "x-secret": "s" };
    const answer = await predict(headers, "/v2/models/m/infer?trace=1");
    expect(answer).toMatchObject({
      status: 200,
      version: "1",
      body: { from: "one", url: "/v2/models/m/infer?trace=1" },
    });
    expect(answer.body.headers).toMatchObject({ "x-espalier-prediction-id": "id-1", "x-espalier-capture": "0" });
    expect(answer.body.headers).not.toHaveProperty("x-secret");
  });

  it("asks for capture at the rate of the state, whatever the caller says", async () => {
    await writeState(state(2, [1, 0], 1));
    await until((now) => now.generation === 2);
    expect((await predict({ "x-espalier-capture": "0" })).body.headers["x-espalier-capture"]).toBe("1");
  });

  it("shifts no weight to a version that is not ready, and all at once when it is", async () => {
    two.ready = false;
    await writeState(state(2, [0, 1]));
    const waiting = await until(({ message }) => message?.includes("2: its readiness answers 503") ?? false);
    expect(waiting).toMatchObject({ generation: 1, wantedGeneration: 2, ready: true });
    expect((await predict()).version).toBe("1");
    two.ready = true;
    await until((now) => now.generation === 2);
    expect((await predict()).version).toBe("2");
  });

  it("keeps its state when the file is damaged, says so, and takes the next good one", async () => {
    for (const damaged of ["{", { ...state(5, [0, 1]), versions: [] }, state(5, [0.7, 0.7])]) {
      await writeState(damaged);
      const now = await until(({ message }) => message !== undefined);
      expect(now).toMatchObject({ generation: 1, ready: true });
      expect((await predict()).version).toBe("1");
      await writeState(state(1, [1, 0]));
      await until(({ message }) => message === undefined);
    }
    await writeState(state(6, [0, 1]));
    await until((now) => now.generation === 6);
  });

  it("lets a version that leaves finish its requests", async () => {
    let finish = (): void => undefined;
    const arrived = new Promise<void>((resolve) => {
      one.handle = (request, response) => {
        request.resume();
        finish = () => response.end('{"from":"one, late"}');
        resolve();
      };
    });
    const late = predict();
    await arrived;
    await writeState({ ...state(2, [0, 1]), versions: state(2, [0, 1]).versions.slice(1) });
    expect((await until((now) => now.generation === 2)).draining).toEqual([one.port]);
    expect((await predict()).version).toBe("2");
    finish();
    expect(await late).toMatchObject({ status: 200, body: { from: "one, late" } });
    await until((now) => now.draining.length === 0);
  });

  it("counts a version anew that left and came back", async () => {
    await predict();
    await writeState(state(2, [0.5, 0.5]));
    expect((await until((now) => now.generation === 2)).versions[0]).toMatchObject({ version: "1", requests: 1 });
    await writeState({ ...state(3, [0, 1]), versions: state(3, [0, 1]).versions.slice(1) });
    await until((now) => now.generation === 3);
    await writeState(state(4, [1, 0]));
    expect((await until((now) => now.generation === 4)).versions[0]).toMatchObject({ version: "1", requests: 0 });
    await predict();
    expect((await status()).versions[0]).toMatchObject({ requests: 1, errors: 0 });
  });

  it("asks again when connections break, and takes a request that breaks every one for the cause", async () => {
    let broken = 2;
    const answer = one.handle;
    one.handle = (request, response) => {
      if (broken-- > 0) request.socket.destroy();
      else answer(request, response);
    };
    expect((await predict()).status).toBe(200);
    broken = 100;
    expect(await predict()).toMatchObject({
      status: 503,
      version: "1",
      body: { code: "UNAVAILABLE", error_code: "TEMPORARILY_UNAVAILABLE" },
    });
    expect(100 - broken).toBe(4);
    expect((await status()).versions[0]).toMatchObject({ requests: 2, errors: 1, retries: 5 });
  });

  it("asks again after a 503, a few times, and passes on the last one", async () => {
    let busy = 2;
    const answer = one.handle;
    one.handle = (request, response) => {
      if (busy-- > 0) request.resume().on("end", () => response.writeHead(503, { "retry-after": "1" }).end("{}"));
      else answer(request, response);
    };
    expect((await predict()).status).toBe(200);
    busy = 100;
    expect((await predict()).status).toBe(503);
    expect(100 - busy).toBe(5);
  });

  it("counts failures of the version, not of the caller", async () => {
    one.handle = (request, response) => request.resume().on("end", () => response.writeHead(400).end("{}"));
    expect((await predict()).status).toBe(400);
    one.handle = (request, response) => request.resume().on("end", () => response.writeHead(500).end("{}"));
    expect((await predict()).status).toBe(500);
    expect((await status()).versions[0]).toMatchObject({ requests: 2, errors: 1 });
    expect(await (await fetch(`${url}/metrics`)).text()).toContain(
      'espalier_router_requests_total{version="1",status="400"} 1',
    );
  });

  it("lets a caller name the version, and keeps a key with its version", async () => {
    await writeState(state(2, [0.5, 0.5]));
    await until((now) => now.generation === 2);
    expect((await predict({}, "/v2/models/m/versions/2/infer")).version).toBe("2");
    expect(await predict({}, "/v2/models/m/versions/9/infer")).toMatchObject({ status: 404 });
    const versions = await Promise.all(Array.from({ length: 20 }, () => predict({ "x-espalier-key": "customer-7" })));
    expect(new Set(versions.map(({ version }) => version)).size).toBe(1);
  });

  it("refuses what is too large and what no model server should be asked", async () => {
    const large = await fetch(`${url}/invocations`, { method: "POST", body: "x".repeat(2000) });
    expect(large.status).toBe(413);
    expect((await fetch(`${url}/capture/flush`, { method: "POST" })).status).toBe(404);
  });
});

describe("choice", () => {
  it("spreads keys evenly, and a growing canary keeps the keys it has", () => {
    const split = (canary: number) => [
      { name: "stable", weight: 1 - canary },
      { name: "canary", weight: canary },
    ];
    const keys = Array.from({ length: 20_000 }, (_, index) => `customer-${index}`);
    const canaryKeys = (canary: number) =>
      new Set(keys.filter((key) => chooseVersion(split(canary), keyFraction(key))?.name === "canary"));
    const [tenth, half] = [canaryKeys(0.1), canaryKeys(0.5)];
    // Five standard deviations of a fair choice.
    expect(Math.abs(tenth.size - 2000)).toBeLessThan(213);
    expect(Math.abs(half.size - 10_000)).toBeLessThan(354);
    expect(tenth.isSubsetOf(half)).toBe(true);
  });
});
