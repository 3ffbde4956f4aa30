import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient } from "@espalier/contract";
import { startControlPlane } from "@espalier/server";
import { freePort } from "../../scripts/servers/free-port.ts";
import { startRay } from "../../scripts/servers/ray.ts";
import { writeProject } from "../faults/plane.ts";

/**
 * `npm run faults:ray -- [--items 10000] [--concurrency 1000]`: a map over three Ray nodes, of which one is killed after a third of the items and the head
 * after two thirds. Every item must come to one recorded result. Exit 1 otherwise.
 */
const { values } = parseArgs({
  options: { items: { type: "string", default: "10000" }, concurrency: { type: "string", default: "1000" } },
});
const items = Number(values.items);
const concurrency = Number(values.concurrency);

const cluster = await startRay();
if ("skipped" in cluster) {
  console.error(cluster.skipped);
  process.exit(3);
}
process.env.RAY_AUTH_TOKEN = cluster.token;
const folder = mkdtempSync(join(tmpdir(), "espalier-lose-nodes-"));
const port = await freePort();
// A value output holds 64 KiB: so many items are told as their number.
const digits = String(items - 1).length;
writeProject(folder, {
  "espalier.yaml": `project: lose-nodes
control_plane: { url: "http://127.0.0.1:${port}", port: ${port} }
stacks: { cluster: { compute: { far: { uses: ray, limit: ${concurrency}, with: { address: "${cluster.address}" } } } } }
default_stack: cluster
`,
  "pipelines/squares.yaml": `name: squares
steps:
  numbers:
    run: >-
      awk 'BEGIN { printf "["; for (i = 0; i < ${items}; i++) printf "%s%d", (i ? "," : ""), i; printf "]" }' >\${{ outputs.all }}
    outputs: { all: value }
  square:
    run: awk 'BEGIN { n = ARGV[1]; print n * n }' \${{ params.number }} >\${{ outputs.square }}
    compute: far
    map: { over: numbers.all, as: number, concurrency: ${concurrency} }
    retry: { attempts: 10, causes: [lost] }
    outputs: { square: file }
`,
});
const plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", port });
const client = createClient({ url: plane.url, token: plane.token });
const started = Date.now();
const seconds = (): string => `${((Date.now() - started) / 1_000).toFixed(0)} s`;
try {
  const { id } = await client.call("runs.create", { body: { pipeline: "squares" } });
  const look = async () => {
    const { run, counts } = await client.call("runs.get", { params: { runId: id } });
    return { run, done: (counts.succeeded ?? 0) - 1 };
  };
  // A look brings all steps and attempts, so that of thousands it is no small request.
  const lookSeconds = items < 1_000 ? 2 : 15;
  const untilDone = async (wanted: number): Promise<void> => {
    for (;;) {
      const { run, done } = await look();
      console.log(`${seconds()}: ${done} of ${items}`);
      if (done >= wanted) return;
      if (run.state !== "running" && run.state !== "queued") {
        throw new Error(`the run ${run.state}: ${JSON.stringify(run.error)}`);
      }
      await pause(lookSeconds * 1_000);
    }
  };
  await untilDone(items / 3);
  console.log(`${seconds()}: a node is killed`);
  await cluster.killNode(0);
  await cluster.startNode();
  await untilDone((items * 2) / 3);
  console.log(`${seconds()}: the head is killed, and a new one started`);
  await cluster.restartHead();
  await untilDone(items);
  for (;;) {
    const { run } = await look();
    if (run.state === "succeeded") break;
    if (run.state === "failed" || run.state === "cancelled") throw new Error(JSON.stringify(run.error));
    await pause(2_000);
  }
  const took = (Date.now() - started) / 1_000;
  const { attempts } = await client.call("runs.get", { params: { runId: id } });
  const square = attempts.filter(({ step }) => step === "square");
  const succeeded = square.filter(({ state }) => state === "succeeded").map(({ branch }) => branch);
  const lost = square.filter(({ state }) => state === "lost").length;
  const twice = succeeded.length - new Set(succeeded).size;
  const { items: outputs } = await client.call("artifacts.ofRun", { params: { runId: id } });
  const gathered = outputs.find(({ step, output }) => step === "square" && output === "square")?.artifact;
  const query = { type: "tree", limit: 1 } as const;
  const digest = gathered?.digest ?? "";
  let files = 0;
  for (let cursor: string | undefined; ; ) {
    const page = await client.call("artifacts.files", {
      params: { digest },
      query: { ...query, limit: 1_000, ...(cursor === undefined ? {} : { cursor }) },
    });
    files += page.items.length;
    cursor = page.next;
    if (cursor === undefined) break;
  }
  const sample = items - 1;
  const path = String(sample).padStart(Math.max(5, digits), "0");
  const bytes = await client.bytes("artifacts.download", { params: { digest }, query: { type: "tree", path } });
  const value = Number((await new Response(bytes).text()).trim());
  console.log(
    `${items} items in ${took.toFixed(0)} s (${((took * 1_000) / items).toFixed(0)} ms an item, faults included); ${files} results, ` +
      `${succeeded.length} attempts recorded as succeeded, ${twice} items twice, ${lost} attempts lost and made anew; the last is ${value}`,
  );
  const right = succeeded.length === items && twice === 0 && files === items && value === sample * sample;
  console.log(right ? "1 passed, 0 failed" : "0 passed, 1 failed");
  process.exitCode = right ? 0 : 1;
} finally {
  await plane.close();
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
}
