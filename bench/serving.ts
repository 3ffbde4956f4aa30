import { mkdtemp, rm, stat } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { residentMegabytes } from "./mlflow/processes.ts";
import { bare } from "./serving/bare.ts";
import type { Contender } from "./serving/contender.ts";
import { load } from "./serving/load.ts";
import { type BenchModel, makeModel } from "./serving/model.ts";
import { ours, useBuiltPackage } from "./serving/ours.ts";
import { peers } from "./serving/peers.ts";
import { loadTable, type Measured, startTable } from "./serving/table.ts";

/**
 * `npm run bench:serving`: single-row requests to one model (200 trees of depth 6, 30 features, as ONNX) at our model server and router and
 * at the peers of PyPI, one server at a time, 64 connections, the load generator on the same cores. Prints Markdown; asserts nothing.
 * `-- --seconds 8` is what each load counts, `--connections 64`, `--only espalier,mlserver` some contenders, `--source` ours from
 * source and not built, as it is published. Peers are installed at the
 * first run, each into an environment of its own.
 */
const { values: options } = parseArgs({
  args: process.argv.slice(2),
  options: {
    seconds: { type: "string", default: "8" },
    connections: { type: "string", default: "64" },
    only: { type: "string" },
    source: { type: "boolean", default: false },
  },
});
const contenders: readonly Contender[] = [bare, ...ours, ...peers];
const wanted = options.only?.split(",") ?? contenders.map(({ key }) => key);
const unknown = wanted.filter((key) => !contenders.some((contender) => contender.key === key));
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(", ")}; there are: ${contenders.map(({ key }) => key).join(", ")}`);
  process.exit(2);
}
const seconds = Number(options.seconds);
const connections = Number(options.connections);
if (!(seconds > 0) || !Number.isInteger(connections) || connections < 1) {
  console.error("--seconds must be a number above 0, --connections a whole number above 0");
  process.exit(2);
}

if (!options.source && ours.some(({ key }) => wanted.includes(key))) useBuiltPackage();
const scratch = await mkdtemp(join(tmpdir(), "espalier-bench-serving-"));
const measured: Measured[] = [];
const missing: string[] = [];
/** What the model says of the row, by the first server that said it. */
let expected: number | undefined;
const loadBefore = loadavg()[0] ?? 0;
try {
  const model = await makeModel(scratch);
  const modelMegabytes = (await stat(model.onnxFile)).size / 2 ** 20;
  for (const contender of contenders.filter(({ key }) => wanted.includes(key))) {
    const result = await measure(contender, model, modelMegabytes);
    if ("skipped" in result) missing.push(`${contender.title}: ${result.skipped}`);
    else measured.push(result);
  }
  const machine = `${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}`;
  console.log(
    `${machine}, load average before ${loadBefore.toFixed(1)}; ${connections} connections, ${seconds} s each;`,
  );
  console.log(
    `the model file has ${modelMegabytes.toFixed(1)} MB. gRPC load is HTTP/2 over plain sockets, as HTTP load is.\n`,
  );
  console.log(`${loadTable(measured, "espalier")}\n\n${startTable(measured)}`);
  for (const reason of missing) console.log(`\nnot measured: ${reason}`);
} finally {
  await rm(scratch, { recursive: true, force: true });
}

async function measure(
  contender: Contender,
  model: BenchModel,
  modelMegabytes: number,
): Promise<Measured | { skipped: string }> {
  process.stderr.write(`${contender.title}...\n`);
  const server = await contender.start(model, scratch);
  if ("skipped" in server) return server;
  try {
    if (contender !== bare) checkAnswer(contender, server.firstAnswer);
    const loads: Measured["loads"] = [];
    let megabytes = Number.NaN;
    for (const one of contender.loads) {
      const request = one.request(model);
      const port = request.grpc === true ? server.grpcPort : server.port;
      if (port === undefined) throw new Error(`${contender.title} has no gRPC port`);
      const result = await load(port, request, { connections: one.connections ?? connections, seconds });
      loads.push({ load: one, result });
      // After the first load, which is JSON for all of them: what further protocols leave behind is not comparable.
      if (loads.length === 1) megabytes = residentMegabytes(server.pid);
    }
    const megabytesAboveModel = megabytes - modelMegabytes;
    return { contender, loads, coldStartSeconds: server.coldStartSeconds, megabytesAboveModel };
  } finally {
    await server.stop();
  }
}

/** All run one model on one row, so the last number of every answer is the same. */
function checkAnswer({ title }: Contender, text: string): void {
  const number = Number(text.match(/-?\d+\.\d+(e-?\d+)?/g)?.at(-1) ?? Number.NaN);
  expected ??= number;
  if (!(Math.abs(number - expected) < 1e-5))
    throw new Error(`${title} answers ${text}, where ${expected} was expected`);
}
