import { connect } from "node:net";

/**
 * Closed-loop HTTP load over plain sockets, run as a process of its own: `node bench/load-generator.ts PORT PATH CONNECTIONS SECONDS`, the
 * body on standard input. It parses only the status and the content length, since a client library would cost more than the servers.
 */
const [port = "0", path = "/", connections = "64", seconds = "5"] = process.argv.slice(2);
const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
const body = Buffer.concat(chunks);
const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
const message = Buffer.concat([Buffer.from(head), body]);

const latencies: number[] = [];
let failed = 0;
let measuring = false;
let stopping = false;

function caller(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), "127.0.0.1");
    socket.setNoDelay(true);
    let pending = Buffer.alloc(0);
    let sentAt = 0;
    const send = () => {
      sentAt = performance.now();
      socket.write(message);
    };
    socket.on("connect", send);
    socket.on("data", (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const end = pending.indexOf("\r\n\r\n");
      if (end === -1) return;
      const headers = pending.toString("latin1", 0, end).toLowerCase();
      const length = Number(/content-length: (\d+)/.exec(headers)?.[1] ?? 0);
      if (pending.length < end + 4 + length) return;
      pending = pending.subarray(end + 4 + length);
      if (measuring) {
        latencies.push(performance.now() - sentAt);
        if (!headers.startsWith("http/1.1 200")) failed++;
      }
      if (stopping) socket.end();
      else send();
    });
    socket.on("error", () => {
      failed++;
    });
    socket.on("close", () => resolve());
  });
}

const callers = Array.from({ length: Number(connections) }, caller);
const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
await wait(2000);
measuring = true;
const start = performance.now();
await wait(Number(seconds) * 1000);
measuring = false;
const elapsed = (performance.now() - start) / 1000;
stopping = true;
await Promise.all(callers);
latencies.sort((a, b) => a - b);
const quantile = (share: number) =>
  latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? Number.NaN;
process.stdout.write(
  JSON.stringify({
    rps: latencies.length / elapsed,
    p50: quantile(0.5),
    p99: quantile(0.99),
    requests: latencies.length,
    failed,
  }),
);
