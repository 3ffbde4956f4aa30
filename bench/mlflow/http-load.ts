import { connect } from "node:net";

/**
 * Closed-loop load over plain sockets with keep-alive, as a process of its own, its options as JSON on standard input. Each request differs
 * from the last (a step, a name), since a server would otherwise skip what it has stored already. Prints what it has counted as JSON.
 */
export interface LoadOptions {
  port: number;
  kind: "log-metric" | "log-batch" | "create-run" | "get-run" | "fill-run" | "log-history";
  connections: number;
  /** Ends after so long, */
  seconds?: number;
  /** or after so many requests. */
  count?: number;
  experimentId: string;
  runIds: readonly string[];
  /** Metrics of a batch. */
  batchSize?: number;
  /** Not counted at the start. */
  warmUpSeconds?: number;
}

export interface LoadResult {
  requests: number;
  failed: number;
  seconds: number;
  p50: number;
  p99: number;
  /** Of `create-run`, in the order in which they were made. */
  runIds: string[];
}

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
const options = JSON.parse(Buffer.concat(chunks).toString()) as LoadOptions;
const now = Date.now();
const request = (method: string, path: string, body = ""): string =>
  `${method} /api/2.0/mlflow/${path} HTTP/1.1\r\nhost: 127.0.0.1:${options.port}\r\ncontent-type: application/json\r\n` +
  `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const runOf = (index: number): string => options.runIds[index % options.runIds.length] ?? "";

/** A number in [0, 1) that follows from two others. */
const share = (row: number, column: number): number =>
  (((row * 2654435761 + column * 40503) >>> 0) % 100_003) / 100_003;

function metrics(index: number, size: number): string {
  const texts: string[] = [];
  for (let at = 0; at < size; at += 1) {
    const step = index * Math.ceil(size / 20) + Math.floor(at / 20);
    texts.push(`{"key":"m${at % 20}","value":${share(step, at)},"timestamp":${now},"step":${step}}`);
  }
  return `[${texts.join(",")}]`;
}

const kinds: Record<LoadOptions["kind"], (index: number) => string> = {
  "log-metric": (index) =>
    request(
      "POST",
      "runs/log-metric",
      `{"run_id":"${runOf(index)}","key":"loss","value":${share(index, 0)},"timestamp":${now},"step":${index}}`,
    ),
  "log-batch": (index) =>
    request(
      "POST",
      "runs/log-batch",
      `{"run_id":"${runOf(index)}","metrics":${metrics(index, options.batchSize ?? 1000)}}`,
    ),
  // 1,000 points of one metric.
  "log-history": (index) => {
    const points = Array.from({ length: 1000 }, (_, at) => index * 1000 + at).map(
      (step) => `{"key":"m0","value":${share(step, 0)},"timestamp":${now + step},"step":${step}}`,
    );
    return request("POST", "runs/log-batch", `{"run_id":"${runOf(index)}","metrics":[${points.join(",")}]}`);
  },
  "create-run": (index) =>
    request(
      "POST",
      "runs/create",
      `{"experiment_id":"${options.experimentId}","start_time":${now + index},"run_name":"run-${index}","tags":[{"key":"mlflow.user","value":"bench"}]}`,
    ),
  "get-run": (index) => request("GET", `runs/get?run_id=${runOf(index)}`),
  // 20 metrics, 5 parameters and 5 tags of a run that has nothing yet; the same numbers as fill-stock.py writes.
  "fill-run": (index) => {
    const five = (make: (at: number) => string): string => [0, 1, 2, 3, 4].map(make).join(",");
    const all = Array.from(
      { length: 20 },
      (_, at) => `{"key":"m${at}","value":${share(index, at)},"timestamp":${now},"step":0}`,
    );
    const params = five((at) => `{"key":"p${at}","value":"${(index + at) % 7}"}`);
    const tags = five((at) => `{"key":"t${at}","value":"${(index + at) % 11}"}`);
    return request(
      "POST",
      "runs/log-batch",
      `{"run_id":"${runOf(index)}","metrics":[${all.join(",")}],"params":[${params}],"tags":[${tags}]}`,
    );
  },
};
const make = kinds[options.kind];

const latencies: number[] = [];
const runIds: string[] = [];
let failed = 0;
let sent = 0;
let measuring = options.warmUpSeconds === undefined;
let stopping = false;
const complete = (index: number): boolean => options.count !== undefined && index >= options.count;

function caller(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(options.port, "127.0.0.1");
    socket.setNoDelay(true);
    let pending = Buffer.alloc(0);
    let sentAt = 0;
    let index = 0;
    const send = (): void => {
      if (stopping || complete(sent)) {
        socket.end();
        return;
      }
      index = sent;
      sent += 1;
      sentAt = performance.now();
      socket.write(make(index));
    };
    socket.on("connect", send);
    socket.on("data", (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const end = pending.indexOf("\r\n\r\n");
      if (end === -1) return;
      const headers = pending.toString("latin1", 0, end).toLowerCase();
      const length = Number(/content-length: (\d+)/.exec(headers)?.[1] ?? 0);
      if (pending.length < end + 4 + length) return;
      const ok = headers.startsWith("http/1.1 200");
      if (measuring) {
        latencies.push(performance.now() - sentAt);
        if (!ok) failed += 1;
      }
      if (options.kind === "create-run" && ok) {
        runIds[index] = /"run_id": ?"([^"]+)"/.exec(pending.toString("latin1", end))?.[1] ?? "";
      }
      pending = pending.subarray(end + 4 + length);
      send();
    });
    socket.on("error", () => {
      failed += 1;
    });
    socket.on("close", () => resolve());
  });
}

const pause = (seconds: number): Promise<void> => new Promise((done) => setTimeout(done, seconds * 1000));
const quantile = (share: number): number =>
  latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? Number.NaN;
const callers = Array.from({ length: options.connections }, caller);
if (options.warmUpSeconds !== undefined) {
  await pause(options.warmUpSeconds);
  measuring = true;
}
const started = performance.now();
let seconds = 0;
if (options.seconds !== undefined) {
  await pause(options.seconds);
  measuring = false;
  seconds = (performance.now() - started) / 1000;
  stopping = true;
}
await Promise.all(callers);
if (seconds === 0) seconds = (performance.now() - started) / 1000;
latencies.sort((a, b) => a - b);
const result: LoadResult = {
  requests: latencies.length,
  failed,
  seconds,
  p50: quantile(0.5),
  p99: quantile(0.99),
  runIds: options.count === undefined ? [] : runIds,
};
process.stdout.write(JSON.stringify(result));
