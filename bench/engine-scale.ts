import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createArtifacts, createEngine, type PipelineIr, pipelineDigest, type StepRunner, ulid } from "@espalier/core";
import { createFilesystemArtifactStore, createLocalFiles } from "@espalier/embedded";
import { createStaging, platformName } from "@espalier/host";
import { openRecord } from "@espalier/server";
import { startPostgres } from "../scripts/servers/postgres.ts";

/**
 * `npm run bench:engine-scale`: maps of 100 to 10,000 items under the command line, what an item costs at each size; then 1,000 steps at a
 * time on a runner that only waits, on PostgreSQL and on SQLite: transitions a second, and memory from the first thousand to the last.
 * Asserts nothing. `--items` and `--steps` set the sizes.
 */
const { values } = parseArgs({
  options: { items: { type: "string", default: "10000" }, steps: { type: "string", default: "20000" } },
});
const root = resolve(import.meta.dirname, "..");
const items = Number(values.items);
const steps = Number(values.steps);
const concurrency = 1_000;
/** How long a simulated step takes: long enough that a thousand of them keep the record busy, not the clock. */
const shortestMilliseconds = 500;
const longestMilliseconds = 1_500;

async function mapOf(count: number, folder: string): Promise<number> {
  mkdirSync(join(folder, "pipelines"), { recursive: true });
  writeFileSync(join(folder, "espalier.yaml"), "project: bench\ndefault_stack: laptop\nstacks: { laptop: {} }\n");
  writeFileSync(
    join(folder, "pipelines/items.yaml"),
    `name: items
params: { count: ${count} }
steps:
  numbers:
    run: 'seq -s , 1 "$(printf %s \${{ params.count }})" | sed "s/^/[/;s/,*$/]/" >\${{ outputs.all }}'
    params: [count]
    outputs: { all: value }
  each:
    run: 'echo \${{ params.item }} >\${{ outputs.out }}'
    map: { over: numbers.all, as: item }
    outputs: { out: file }
`,
  );
  const child = spawn(
    process.execPath,
    [join(root, "apps/cli/src/main.ts"), "run", "items", "--json", "--project", folder],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  const [code] = await once(child, "close");
  const text = Buffer.concat(output).toString("utf8");
  if (code !== 0) throw new Error(`a map of ${count} items ended with ${code}: ${text.slice(-2_000)}`);
  const start = text.indexOf("{");
  const { run } = JSON.parse(text.slice(start, text.lastIndexOf("}") + 1));
  return (run.finishedAt - run.startedAt) / 1_000;
}

/** Takes what it is given and only waits; the first step, which lists the items, is done at once. */
function simulatedRunner(): StepRunner {
  const ends = new Map<string, Promise<void>>();
  return {
    sharesFiles: true,
    async submit({ attemptId, work }) {
      if (work.kind === "local" && work.command === "list") {
        writeFileSync(join(work.attemptDirectory, "outputs/all"), JSON.stringify(new Array(steps).fill(0)));
        return attemptId;
      }
      const milliseconds = shortestMilliseconds + Math.random() * (longestMilliseconds - shortestMilliseconds);
      ends.set(attemptId, delay(milliseconds));
      return attemptId;
    },
    async status() {
      return { state: "running" };
    },
    async logs(_, offset) {
      return { bytes: new Uint8Array(), next: offset };
    },
    cancel: () => Promise.resolve(),
    async wait(handle) {
      await ends.get(handle);
      ends.delete(handle);
      return { state: "exited", exitCode: 0 };
    },
  };
}

async function concurrentSteps(location: Parameters<typeof openRecord>[0], folder: string) {
  const record = await openRecord(location, "bench");
  const artifacts = createArtifacts(createFilesystemArtifactStore({ path: join(folder, "store") }), createLocalFiles());
  const stateFolder = join(folder, "state");
  mkdirSync(stateFolder, { recursive: true });
  const runner = simulatedRunner();
  const engine = createEngine({
    record: record.engine,
    artifacts,
    staging: createStaging({
      stateFolder,
      artifacts,
      secrets: { get: async () => undefined },
      pythonBin: async () => "/usr/bin",
    }),
    runnerFor: () => ({ runner, tool: "simulated", name: "simulated", limit: concurrency }),
    builtins: {},
    recordSteps: {},
    owner: `bench-${process.pid}`,
    platform: platformName(),
    newId: ulid,
    clock: { now: Date.now, delay: (milliseconds, signal) => delay(milliseconds, undefined, { signal }) },
    leaseSeconds: 30,
    graceSeconds: 2,
    onError: (error, { doing }) => console.error(`${doing}:`, error),
  });
  const pipeline: PipelineIr = {
    ir: 1,
    name: "many",
    steps: {
      numbers: { run: "list", outputs: { all: { type: "value" } }, cache: false },
      each: { run: "true", map: { over: "numbers.all", as: "item", concurrency }, cache: false },
    },
  };
  const id = ulid();
  await record.engine.createRun({
    id,
    pipeline,
    pipelineDigest: pipelineDigest(pipeline),
    params: {},
    stack: "bench",
    trigger: { kind: "manual", by: "bench" },
    options: {},
    resolved: {},
    snapshots: {},
  });
  const memory: number[] = [];
  const sampler = setInterval(() => memory.push(process.memoryUsage().rss), 250);
  const started = performance.now();
  await engine.start();
  const run = await engine.finished(id);
  const seconds = (performance.now() - started) / 1_000;
  clearInterval(sampler);
  await engine.stop();
  await record.close();
  if (run?.state !== "succeeded") throw new Error(`the run ended as ${run?.state}: ${JSON.stringify(run?.error)}`);
  // Of a branch: pending, running, succeeded; of its attempt: created, submitted, collecting, succeeded.
  const transitions = steps * 6;
  const mebibytes = (samples: readonly number[]): number => Math.round(Math.max(...samples) / 2 ** 20);
  const tenth = Math.max(1, Math.floor(memory.length / 10));
  return {
    "transitions a second": Math.round(transitions / seconds),
    seconds: Number(seconds.toFixed(1)),
    "highest RSS, 2nd tenth (MiB)": mebibytes(memory.slice(tenth, 2 * tenth + 1)),
    "highest RSS, last tenth (MiB)": mebibytes(memory.slice(-tenth)),
  };
}

const scratch = mkdtempSync(join(tmpdir(), "espalier-engine-scale-"));
const postgres = await startPostgres();
try {
  console.log(`${cpus().length} x ${cpus()[0]?.model}, Node ${process.versions.node}`);
  console.log("\nA map of processes under `espalier run`");
  const table: Record<string, object> = {};
  for (let count = 100; count <= items; count *= 10) {
    const seconds = await mapOf(count, join(scratch, `map-${count}`));
    table[`${count} items`] = { seconds, "ms an item": Number(((seconds * 1_000) / count).toFixed(2)) };
  }
  console.table(table);
  console.log(
    `\n${steps} steps, ${concurrency} at a time, each waiting ${shortestMilliseconds} to ${longestMilliseconds} ms`,
  );
  const places: Record<string, object> = {};
  if ("skipped" in postgres) console.log(`PostgreSQL is left out: ${postgres.skipped}`);
  else places.PostgreSQL = await concurrentSteps({ postgresUrl: postgres.url }, join(scratch, "postgres"));
  places.SQLite = await concurrentSteps({ sqlitePath: join(scratch, "record.db") }, join(scratch, "sqlite"));
  console.table(places);
} finally {
  if (!("skipped" in postgres)) await postgres.stop();
  rmSync(scratch, { recursive: true, force: true });
}
