import { grpcCaller } from "./grpc-caller.ts";
import { httpCaller } from "./http-caller.ts";
import type { LoadOptions, LoadResult } from "./load.ts";

/** Closed-loop load, run as a process: options as JSON on standard input, the result as JSON on standard output. */
async function generate(options: LoadOptions): Promise<LoadResult> {
  const { port, path, headers, grpc, connections, seconds, warmUpSeconds } = options;
  const request = { port, path, headers, body: Buffer.from(options.body, "base64") };
  const latencies: number[] = [];
  let failed = 0;
  let measuring = false;
  let stopping = false;
  const call = grpc ? grpcCaller : httpCaller;
  const callers = Array.from({ length: connections }, () => {
    let askedAt = performance.now();
    return call(request, (good) => {
      const now = performance.now();
      if (measuring && good) latencies.push(now - askedAt);
      if (measuring && !good) failed++;
      askedAt = now;
      return !stopping;
    });
  });
  const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  await wait(warmUpSeconds * 1000);
  measuring = true;
  const start = performance.now();
  await wait(seconds * 1000);
  measuring = false;
  const elapsed = (performance.now() - start) / 1000;
  stopping = true;
  await Promise.all(callers);
  latencies.sort((a, b) => a - b);
  const quantile = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? Number.NaN;
  return {
    requestsPerSecond: latencies.length / elapsed,
    p50Milliseconds: quantile(0.5),
    p99Milliseconds: quantile(0.99),
    requests: latencies.length + failed,
    failed,
  };
}

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
process.stdout.write(JSON.stringify(await generate(JSON.parse(Buffer.concat(chunks).toString()) as LoadOptions)));
