/**
 * `node bench/batch-inference.ts [--rows 10000000] [--rounds 3] [--threads 2]`: rows of 30 columns through 200 trees of depth 6, by the
 * step `batch-predict` (its whole process, start included) and by bare onnxruntime in Python (batch/bare_onnxruntime.py, without its imports)
 * on the same cores, in turns. Both read the same Parquet file and write an id and a score as Parquet. Prints seconds, rows a second, the
 * ratio of the medians and the largest difference of the scores; asserts nothing.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { matrixSignature, treeModel, writeModelFolder } from "@espalier/conformance";
import { stepVariables } from "@espalier/core";
import { openDuckDb } from "@espalier/embedded";
import { pythonPrograms } from "../scripts/servers/python-programs.ts";

const { values } = parseArgs({
  options: {
    rows: { type: "string" },
    rounds: { type: "string" },
    threads: { type: "string" },
    folder: { type: "string" },
  },
});
const rows = Number(values.rows ?? 10_000_000);
const rounds = Number(values.rounds ?? 3);
const threads = Number(values.threads ?? availableParallelism());
const run = promisify(execFile);
const columns = Array.from({ length: 30 }, (_, index) => `x${index}`);
const folder = values.folder ?? (await mkdtemp(join(tmpdir(), "espalier-bench-batch-")));
const inputs = join(folder, "inputs");
const data = join(inputs, "data");

interface Measure {
  what: string;
  seconds: number[];
}

async function query(sql: string): Promise<Readonly<Record<string, unknown>>[]> {
  const database = await openDuckDb({ threads: availableParallelism() });
  try {
    return await database.rows(sql);
  } finally {
    await database.close();
  }
}

async function ours(): Promise<number> {
  const outputs = join(folder, "outputs");
  await rm(outputs, { recursive: true, force: true });
  const main = resolve(import.meta.dirname, "../adapters/embedded/src/builtin-step-main.ts");
  const started = performance.now();
  await run(process.execPath, [main, "batch-predict"], {
    env: {
      ...process.env,
      [stepVariables.inputs]: inputs,
      [stepVariables.outputs]: outputs,
      [stepVariables.with]: JSON.stringify({ keep: ["id"], prediction_id: false }),
      OMP_NUM_THREADS: String(threads),
    },
  });
  return (performance.now() - started) / 1000;
}

async function bare(python: string): Promise<number> {
  const script = join(import.meta.dirname, "batch/bare_onnxruntime.py");
  const model = join(inputs, "model/model.onnx");
  const { stdout } = await run(python, [script, data, model, join(folder, "bare.parquet"), String(threads)]);
  return (JSON.parse(stdout) as { seconds: number }).seconds;
}

const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
};

try {
  const programs = await pythonPrograms("batch-inference.txt", "The peer's onnxruntime");
  if ("skipped" in programs) console.log(`The peer is left out: ${programs.skipped}`);
  await mkdir(inputs, { recursive: true });
  const model = treeModel({ columns: columns.length, trees: 200, depth: 6, seed: 1 });
  await writeModelFolder(join(inputs, "model"), model, matrixSignature(columns));
  const select = columns.map((name) => `random()::FLOAT AS ${name}`).join(", ");
  await query(`COPY (SELECT i AS id, ${select} FROM range(${rows}) t(i)) TO '${data}' (FORMAT parquet)`);

  const step: Measure = { what: "espalier batch-predict", seconds: [] };
  const peer: Measure = { what: "pyarrow + onnxruntime", seconds: [] };
  for (let round = 0; round < rounds; round++) {
    step.seconds.push(await ours());
    if ("bin" in programs) peer.seconds.push(await bare(join(programs.bin, "python")));
  }
  console.log(
    `${rows.toLocaleString("en")} rows, ${threads} threads of ${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}`,
  );
  console.table(
    [step, peer]
      .filter(({ seconds }) => seconds.length > 0)
      .map(({ what, seconds }) => ({
        what,
        "median s": Number(median(seconds).toFixed(2)),
        "all s": seconds.map((value) => value.toFixed(2)).join(" "),
        "rows/s": Math.round(rows / median(seconds)),
      })),
  );
  if (peer.seconds.length > 0) {
    const [agreement] = await query(
      `SELECT count(*)::INTEGER AS n, max(abs(a.score - b.score)) AS largest
       FROM read_parquet('${join(folder, "outputs/predictions/*.parquet")}') a JOIN read_parquet('${join(folder, "bare.parquet")}') b USING (id)`,
    );
    console.log(
      `ratio ${(median(step.seconds) / median(peer.seconds)).toFixed(2)} (the bar is 1.3); largest difference of ${agreement?.["n"]} scores: ${agreement?.["largest"]}`,
    );
  }
  console.log(await readFile(join(folder, "outputs/report"), "utf8"));
} finally {
  if (values.folder === undefined) await rm(folder, { recursive: true, force: true });
}
