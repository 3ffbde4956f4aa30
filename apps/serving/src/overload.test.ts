import { spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { logisticModel, matrixSignature, slowModel, writeModelFolder } from "@espalier/conformance";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RunningServer, runServer, temporaryFolder } from "./testing/running-server.ts";

/** Samples of Prometheus' text format, by name and labels as they are written. */
async function samplesOf(running: RunningServer): Promise<Map<string, number>> {
  const response = await fetch(`${running.url}/metrics`);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const samples = new Map<string, number>();
  for (const line of (await response.text()).split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name = "", value = ""] = /^(\S+?(?:\{.*\})?) (\S+)(?: \d+)?$/.exec(line) ?? [];
    expect(name, line).not.toBe("");
    expect(samples.has(name), line).toBe(false);
    samples.set(name, Number(value));
  }
  return samples;
}

it("captures that can not be written cost no request: a full disk and a receiver that never answers", async (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root may mount a small disk");
  const folder = await temporaryFolder();
  const disk = join(folder.path, "disk");
  await mkdir(disk);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], { encoding: "utf8" });
  if (mounted.status !== 0) {
    await folder.remove();
    return context.skip(`mount failed: ${mounted.stderr}`);
  }
  const stalled: Socket[] = [];
  const receiver = createServer((socket) => stalled.push(socket));
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  try {
    const columns = Array.from({ length: 20 }, (_, index) => `x${index}`);
    const modelDirectory = await writeModelFolder(
      join(folder.path, "model"),
      logisticModel(new Array(20).fill(0.1), 0),
      matrixSignature(columns),
    );
    const running = await runServer({
      modelDirectory,
      capture: {
        directory: disk,
        rate: 1,
        cloudEvents: { url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}` },
      },
    });
    const ask = () => running.post("/invocations", { instances: [new Array(20).fill(0.123456789)] });
    const statuses = new Set<number>();
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(Array.from({ length: 50 }, ask));
      for (const { status } of answers) statuses.add(status);
    }
    expect([...statuses]).toEqual([200]);
    const sample = async (kind: string, sink: string) =>
      (await samplesOf(running)).get(
        `espalier_serving_capture_${kind}_rows{model="tiny",version="3",sink="${sink}"}`,
      ) ?? 0;
    while ((await sample("captured", "segments")) + (await sample("dropped", "segments")) < 1000) await delay(20);
    expect(await sample("dropped", "segments")).toBeGreaterThan(500);
    expect(await sample("captured", "cloudevents")).toBe(0);
    // Stopping waits for neither.
    await running.server.close();
  } finally {
    for (const socket of stalled) socket.destroy();
    await new Promise((resolve) => receiver.close(resolve));
    expect(spawnSync("umount", [disk]).status).toBe(0);
    await folder.remove();
  }
});

describe("a model server with too much to do", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let running: RunningServer;
  const columns = Array.from({ length: 512 }, (_, index) => `x${index}`);
  const slow = (rows: number, headers: Record<string, string> = {}, name = "slow") =>
    running.post(
      `/v2/models/${name}/infer`,
      { inputs: [{ name: "input", shape: [rows, 512], datatype: "FP32", data: new Array(rows * 512).fill(2) }] },
      headers,
    );
  const until = async (labels: string, holds: (value: number) => boolean) => {
    let value: number | undefined;
    for (let tries = 0; tries < 3000; tries++) {
      value = (await samplesOf(running)).get(labels);
      if (value !== undefined && holds(value)) return value;
      await delay(10);
    }
    throw new Error(`${labels} stayed ${value}`);
  };
  const slowLabels = '{model="slow",version="1"}';

  beforeEach(async () => {
    folder = await temporaryFolder();
    await writeModelFolder(join(folder.path, "models", "slow"), slowModel(512, 300), matrixSignature(columns));
    await writeModelFolder(
      join(folder.path, "models", "small"),
      logisticModel([1, -1], 0),
      matrixSignature(["a", "b"]),
    );
    running = await runServer({
      repositoryDirectory: join(folder.path, "models"),
      maxQueueRequests: 2,
      maxBatchRows: 1,
      runtime: { threads: 1 },
      capture: { directory: join(folder.path, "capture"), rate: 1 },
    });
  });
  afterEach(async () => {
    await running.server.close();
    await folder.remove();
  });

  it("answers health and other models while a heavy run is under way, and tells how much waits", async () => {
    const done: string[] = [];
    const heavy = slow(100).then((answer) => {
      done.push("heavy");
      return answer;
    });
    await until(`espalier_serving_in_flight_requests${slowLabels}`, (value) => value === 1);
    const queued = slow(1).then((answer) => {
      done.push("queued");
      return answer;
    });
    await until(`espalier_serving_queue_requests${slowLabels}`, (value) => value === 1);
    expect((await fetch(`${running.url}/v2/health/ready`)).status).toBe(200);
    const small = await running.post("/v1/models/small:predict", { instances: [[1, 1]] });
    const age = await until(`espalier_serving_queue_age_seconds${slowLabels}`, (value) => value > 0);
    expect([done, small.status, small.body]).toEqual([[], 200, { predictions: [0.5] }]);
    expect(age).toBeGreaterThan(0);
    expect((await samplesOf(running)).get(`nv_inference_pending_request_count${slowLabels}`)).toBe(1);
    const answers = await Promise.all([heavy, queued]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(done).toEqual(["heavy", "queued"]);
    const samples = await samplesOf(running);
    expect(samples.get(`espalier_serving_inline_rows${slowLabels}`)).toBe(0);
    expect(samples.get('espalier_serving_inline_rows{model="small",version="1"}')).toBeGreaterThan(0);
  });

  it("refuses what does not fit, drops what is too late or left, and counts each by its reason", async () => {
    const heavy = slow(150);
    await until(`espalier_serving_in_flight_requests${slowLabels}`, (value) => value === 1);
    const left = new AbortController();
    const gone = fetch(`${running.url}/v2/models/slow/infer`, {
      method: "POST",
      signal: left.signal,
      body: JSON.stringify({
        inputs: [{ name: "input", shape: [1, 512], datatype: "FP32", data: new Array(512).fill(2) }],
      }),
    }).catch((error: Error) => error.name);
    const patient = slow(1);
    await until(`espalier_serving_queue_requests${slowLabels}`, (value) => value === 2);
    const refused = await slow(1);
    expect([refused.status, refused.headers.get("retry-after"), refused.body.code]).toEqual([429, "1", "RATE_LIMITED"]);
    left.abort();
    expect(await gone).toBe("AbortError");
    // The one that left makes room, once its connection is seen to be closed.
    let refusals = 1;
    let rejected = await slow(1, { "x-espalier-timeout-ms": "50" });
    while (rejected.status === 429) {
      refusals++;
      rejected = await slow(1, { "x-espalier-timeout-ms": "50" });
    }
    // Triton's word for a deadline that passes in the queue is "unavailable".
    expect([rejected.status, rejected.body.code, rejected.headers.get("retry-after")]).toEqual([503, "TIMEOUT", "1"]);
    expect((await Promise.all([heavy, patient])).map(({ status }) => status)).toEqual([200, 200]);
    await until(`nv_inference_request_failure{model="slow",version="1",reason="CANCELED"}`, (value) => value === 1);
    const samples = await samplesOf(running);
    const failures = ["REJECTED", "CANCELED", "BACKEND", "OTHER"].map((reason) =>
      samples.get(`nv_inference_request_failure{model="slow",version="1",reason="${reason}"}`),
    );
    expect(failures).toEqual([refusals + 1, 1, 0, 0]);
    expect(samples.get(`nv_inference_exec_count${slowLabels}`)).toBe(2);
    expect(samples.get('espalier_serving_requests_total{protocol="v2",status="499",model="slow",version="1"}')).toBe(1);
    const mlflow = slow(150);
    await until(`espalier_serving_in_flight_requests${slowLabels}`, (value) => value === 1);
    const answer = await running.post(
      "/v1/models/slow:predict",
      { instances: [new Array(512).fill(1)] },
      { "x-request-timeout-ms": "20" },
    );
    expect([answer.status, answer.body.code]).toEqual([503, "TIMEOUT"]);
    await mlflow;
  });

  it("is stopped after what it has taken", async () => {
    const answers = [slow(50), slow(1)];
    await until(`espalier_serving_queue_requests${slowLabels}`, (value) => value === 1);
    running.server.drain();
    expect((await fetch(`${running.url}/v2/health/ready`)).status).toBe(503);
    const closed = running.server.close();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
    await closed;
  });

  it("counts under its own names and those that others ask for", async () => {
    await running.post("/v1/models/small:predict", {
      instances: [
        [1, 1],
        [2, 2],
        [3, 3],
      ],
    });
    await running.post("/v1/models/small:predict", { instances: [[1]] });
    await running.post("/v1/models/absent:predict", { instances: [[1]] });
    await running.post("/capture/flush", {});
    const samples = await samplesOf(running);
    const of = (name: string) => samples.get(`${name}{model="small",version="1"}`);
    expect(samples.get('espalier_serving_requests_total{protocol="v1",status="200",model="small",version="1"}')).toBe(
      1,
    );
    expect(samples.get('espalier_serving_requests_total{protocol="v1",status="400",model="small",version="1"}')).toBe(
      1,
    );
    expect(samples.get('espalier_serving_requests_total{protocol="v1",status="404",model="",version=""}')).toBe(1);
    expect(of("espalier_serving_rows_total")).toBe(3);
    expect(of("espalier_serving_request_duration_seconds_count")).toBe(2);
    expect(samples.get('espalier_serving_request_duration_seconds_bucket{model="small",version="1",le="+Inf"}')).toBe(
      2,
    );
    expect(samples.get('espalier_serving_batch_rows_bucket{model="small",version="1",le="2"}')).toBe(0);
    expect(samples.get('espalier_serving_batch_rows_bucket{model="small",version="1",le="4"}')).toBe(1);
    expect(samples.get('espalier_serving_capture_captured_rows{model="small",version="1",sink="segments"}')).toBe(3);
    expect(samples.get('espalier_serving_capture_dropped_rows{model="small",version="1",sink="segments"}')).toBe(0);
    expect(["nv_inference_request_success", "nv_inference_count", "nv_inference_exec_count"].map(of)).toEqual([
      1, 3, 1,
    ]);
    const total = of("nv_inference_request_duration_us") ?? 0;
    const parts = ["queue", "compute_input", "compute_infer"].map(
      (part) => of(`nv_inference_${part}_duration_us`) ?? 0,
    );
    expect(parts.every((part) => part >= 0)).toBe(true);
    expect(parts.reduce((sum, part) => sum + part, 0)).toBeLessThanOrEqual(total + 3);
    expect(of("model_infer_request_success_total")).toBe(1);
    expect(of("model_infer_request_failure_total")).toBe(1);
    expect(samples.get('request_predict_seconds_count{model_name="small"}')).toBe(1);
    expect(samples.get("process_cpu_seconds_total")).toBeGreaterThan(0);
  });
});
