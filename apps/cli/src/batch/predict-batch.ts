import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, realpath, rename, rm, stat, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { canonicalJson, EspalierError, type JsonObject } from "@espalier/core";
import { createPythonEnvironments, modelEnvironment } from "@espalier/host";
import colors from "picocolors";
import { withSession } from "../session.ts";
import { formatSeconds, printJson, printLine } from "../terminal/output.ts";
import { type BatchModel, fetchBatchModel, findBatchModel } from "./batch-model.ts";
import { holdFolder } from "./hold-folder.ts";
import { copyRejects, publishPredictions, requirePartitions, requireReplaceable } from "./publish-predictions.ts";
import { runBuiltinStep } from "./run-builtin-step.ts";

export interface BatchOptions {
  project?: string;
  json?: boolean;
  input?: string;
  output?: string;
  keep?: string[];
  predictionId?: string;
  outputs?: string[];
  threshold?: number;
  partition?: Record<string, string>;
  partitionBy?: string[];
  skipBadRows?: boolean;
  threads?: number;
}

/**
 * Runs `batch-predict` on this machine, over files where they lie: neither data nor predictions are copied into the project's store, and
 * so no run is on record. A pipeline with the step is the recorded way.
 */
export async function predictBatch(target: string, options: BatchOptions): Promise<void> {
  const started = Date.now();
  const input = await inputPath(options.input);
  const output = resolve(required(options.output, "--output"));
  await requireReplaceable(output);
  if (options.partition !== undefined || options.partitionBy !== undefined) await requirePartitions(output);
  const { model, folder, settings, python } = await withSession(options, async ({ client, projectDirectory }) => {
    const found = await findBatchModel(client, target);
    const wanted = settingsOf(options, found);
    const work = await prepareFolder(output, { model: found, settings: wanted, input: await inputState(input) });
    await layInputs(work, input, (place) => fetchBatchModel(client, found.digest, place));
    const environment = await modelEnvironment(createPythonEnvironments(), {
      folder: join(work, "inputs", "model"),
      label: `${found.name} version ${found.version}`,
      locks: join(projectDirectory, ".espalier", "model-environments"),
    });
    return { model: found, folder: work, settings: wanted, python: environment?.program };
  });
  const show = options.json === true ? () => undefined : progressLine();
  await runBuiltinStep({
    builtin: "batch-predict",
    folder,
    with: settings,
    params: options.partition ?? {},
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(python === undefined ? {} : { pythons: { model: python } }),
    onProgress: show,
  });
  const report = JSON.parse(await readFile(join(folder, "outputs", "report"), "utf8")) as Record<string, number>;
  const rejects = `${output}.rejects.parquet`;
  const hasRejects = (report["rejected"] ?? 0) > 0;
  if (hasRejects) await copyRejects(join(folder, "outputs", "rejects"), rejects);
  // Those of an earlier command would be taken for these predictions'.
  else await rm(rejects, { force: true });
  await publishPredictions(join(folder, "outputs", "predictions"), output);
  await rm(folder, { recursive: true, force: true });
  const seconds = (Date.now() - started) / 1000;
  if (options.json) {
    const { name, version } = model;
    return printJson({ model: name, version, output, ...(hasRejects ? { rejects } : {}), seconds, report });
  }
  const rows = (report["predicted"] ?? 0).toLocaleString("en");
  printLine(
    `${colors.green("predicted")} ${rows} rows with ${model.name}@${model.version} in ${formatSeconds(seconds * 1000)}: ${output}`,
  );
  if (hasRejects) printLine(`${(report["rejected"] ?? 0).toLocaleString("en")} rows were set aside: ${rejects}`);
}

function required(value: string | undefined, option: string): string {
  if (value !== undefined && value !== "") return value;
  throw new EspalierError("INVALID_INPUT", `\`--batch\` needs \`${option}\``, {
    at: option,
    hint: "For example: espalier predict flights@champion --batch --input flights.parquet --output predictions/",
  });
}

async function inputPath(given: string | undefined): Promise<string> {
  const path = resolve(required(given, "--input"));
  return realpath(path).catch((cause: unknown) => {
    throw new EspalierError("NOT_FOUND", `There is no ${path}`, { at: "--input", cause });
  });
}

function settingsOf(options: BatchOptions, model: BatchModel): JsonObject {
  const { keep, predictionId, outputs, threshold, partition, partitionBy, skipBadRows } = options;
  const partitions = [...Object.keys(partition ?? {}), ...(partitionBy ?? [])];
  return {
    ...(keep === undefined ? {} : { keep }),
    ...(predictionId === undefined ? {} : { prediction_id: predictionId === "none" ? false : predictionId }),
    ...(outputs === undefined ? {} : { outputs: outputs.join() === "all" ? "all" : outputs }),
    ...(threshold === undefined ? {} : { threshold }),
    ...(partitions.length === 0 ? {} : { partition_by: partitions }),
    ...(skipBadRows === true ? { on_bad_row: "skip" } : {}),
    model_name: model.name,
    model_version: String(model.version),
  };
}

/** Sizes and times of the files: what another command predicted of other data is not gone on with. */
async function inputState(input: string): Promise<unknown[]> {
  const found = await stat(input);
  const entries = found.isDirectory() ? await readdir(input, { recursive: true }) : [""];
  const state: unknown[] = [];
  for (const entry of entries.sort()) {
    const { size, mtimeMs } = await stat(join(input, entry));
    state.push([entry, size, mtimeMs]);
  }
  return [input, state];
}

/** A folder beside the output, named by what is predicted: the same command finds what it left when it was killed. */
async function prepareFolder(output: string, plan: unknown): Promise<string> {
  const name = createHash("sha256").update(canonicalJson(plan)).digest("hex").slice(0, 12);
  const folder = `${output}.espalier-${name}`;
  await mkdir(join(folder, "inputs"), { recursive: true });
  await holdFolder(folder);
  await rm(join(folder, "outputs"), { recursive: true, force: true });
  return folder;
}

async function layInputs(folder: string, input: string, fetchModel: (place: string) => Promise<void>): Promise<void> {
  const data = join(folder, "inputs", "data");
  const model = join(folder, "inputs", "model");
  await rm(data, { force: true });
  await symlink(input, data);
  if ((await readdir(join(folder, "inputs"))).includes("model")) return;
  const partial = join(folder, "model.partial");
  await rm(partial, { recursive: true, force: true });
  await fetchModel(partial);
  await rename(partial, model);
}

/** On a terminal one line that changes; elsewhere one every ten seconds. */
function progressLine(): (done: number, total: number) => void {
  let toldAt = Date.now();
  return (done, total) => {
    const share = total === 0 ? 0 : Math.floor((100 * done) / total);
    const line = `${done.toLocaleString("en")} of ${total.toLocaleString("en")} rows, ${share} %`;
    if (process.stderr.isTTY) {
      process.stderr.write(`\r${line}${done >= total ? "\n" : ""}`);
    } else if (Date.now() - toldAt >= 10_000) {
      toldAt = Date.now();
      process.stderr.write(`${line}\n`);
    }
  };
}
