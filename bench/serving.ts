/**
 * `node bench/serving.ts [seconds] [connections]`: single-row V2 JSON requests to a tree model (200 trees of depth 6, 30 features) at the
 * model server and through the router, beside a bare node:http server that answers the same bytes. Generator, router and server share
 * the machine's cores. Prints requests a second and latencies; asserts nothing.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { matrixSignature, treeModel, writeModelFolder } from "@espalier/conformance";

if (process.argv[2] === "bare") {
  const answer = process.argv[3] ?? "{}";
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      JSON.parse(Buffer.concat(chunks).toString());
      response.writeHead(200, { "content-type": "application/json", "content-length": answer.length }).end(answer);
    });
  });
  server.listen(0, "127.0.0.1", () => {
    console.log((server.address() as AddressInfo).port);
  });
} else await benchmark();

async function benchmark(): Promise<void> {
  const seconds = process.argv[2] ?? "8";
  const connections = process.argv[3] ?? "64";
  const folder = await mkdtemp(join(tmpdir(), "espalier-bench-serving-"));
  const children: ChildProcess[] = [];
  const entry = resolve(import.meta.dirname, "../apps/serving/src/main.ts");
  const start = async (name: string, ...words: string[]): Promise<number> => {
    const announce = join(folder, `${name}.json`);
    children.push(
      spawn(process.execPath, [entry, ...words, "--announce", announce], { stdio: ["ignore", "ignore", "inherit"] }),
    );
    for (;;) {
      const text = await readFile(announce, "utf8").catch(() => undefined);
      if (text !== undefined) return (JSON.parse(text) as { port: number }).port;
      await new Promise((done) => setTimeout(done, 50));
    }
  };

  const columns = Array.from({ length: 30 }, (_, index) => `x${index}`);
  const row = columns.map((_, index) => Number(((index * 0.37) % 1).toFixed(4)));
  const body = JSON.stringify({ inputs: [{ name: "input", shape: [1, 30], datatype: "FP32", data: row }] });
  const model = treeModel({ columns: 30, trees: 200, depth: 6, seed: 1 });
  await writeModelFolder(join(folder, "model"), model, matrixSignature(columns));
  const words = [
    "model",
    "--model-dir",
    join(folder, "model"),
    "--name",
    "tree",
    "--capture-dir",
    join(folder, "capture"),
  ];
  const results: Record<string, unknown>[] = [];
  try {
    const port = await start("model", ...words);
    const answer = await (
      await fetch(`http://127.0.0.1:${port}/v2/models/tree/infer`, { method: "POST", body })
    ).text();
    const bare = spawn(process.execPath, [import.meta.filename, "bare", answer], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(bare);
    const barePort = await new Promise<number>((done) =>
      bare.stdout.once("data", (text: Buffer) => done(Number(String(text)))),
    );
    const version = { key: "tree", model: "tree", version: "1", port, weight: 1 };
    const measure = async (what: string, to: number) =>
      results.push({ what, ...(await load(to, "/v2/models/tree/infer", connections, seconds, body)) });

    await measure("bare node:http, same bytes", barePort);
    await measure("model server", port);
    for (const captureRate of [0, 1]) {
      const state = join(folder, `state-${captureRate}.json`);
      await writeFile(
        state,
        JSON.stringify({ format: 1, endpoint: "e", generation: 1, captureRate, versions: [version] }),
      );
      const routerPort = await start(`router-${captureRate}`, "router", "--state", state);
      await measure(captureRate === 0 ? "router + model server" : "router + model server, all captured", routerPort);
    }
    results.push({
      what: "model server, 1 connection",
      ...(await load(port, "/v2/models/tree/infer", "1", seconds, body)),
    });
  } finally {
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(children.map((child) => child.exitCode ?? new Promise((done) => child.once("close", done))));
    await rm(folder, { recursive: true, force: true });
  }
  console.log(
    `${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}`,
  );
  console.table(
    results.map(({ what, rps, p50, p99, failed }) => ({
      what,
      "requests/s": Math.round(Number(rps)),
      "p50 ms": Number(Number(p50).toFixed(2)),
      "p99 ms": Number(Number(p99).toFixed(2)),
      failed,
    })),
  );
}

/** Another process, so that it has an event loop of its own. */
async function load(port: number, path: string, connections: string, seconds: string, body: string): Promise<object> {
  const generator = join(import.meta.dirname, "load-generator.ts");
  const child = spawn(process.execPath, [generator, String(port), path, connections, seconds], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(body);
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as object;
}
