import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { EspalierError, type Json, parseLongJson } from "@espalier/core";
import type { Command } from "commander";
import { type BatchOptions, predictBatch } from "../batch/predict-batch.ts";
import { type CommonOptions, collectList, collectParameter, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson } from "../terminal/output.ts";

interface PredictOptions extends CommonOptions, BatchOptions {
  batch?: boolean;
  data?: string;
  file?: string;
  protocol: "v2" | "invocations";
}

export function command(): Command {
  return projectCommand(
    "predict",
    "Ask an endpoint for predictions. The body is JSON: MLflow's forms, or Open Inference Protocol V2. With --batch: predict files.",
  )
    .argument("<target>", "the endpoint; with --batch also model@version or model@alias")
    .option("-d, --data <json>", "the body")
    .option("-f, --file <path>", "a file with the body (-: standard input)")
    .option("--protocol <name>", "invocations or v2", "invocations")
    .option("--batch", "predict the rows of files on this machine; a command that was stopped goes on where it was")
    .option("--input <path>", "batch: a Parquet, CSV or JSON file, or a folder of them")
    .option("--output <folder>", "batch: the folder for the predictions, in Parquet")
    .option("--keep <columns>", "batch: columns of the data that go along, separated by commas", collectList)
    .option("--prediction-id <column>", "batch: the column that names predictions (none: no ids)")
    .option(
      "--outputs <names>",
      "batch: further outputs of the model, separated by commas (all: every one)",
      collectList,
    )
    .option("--threshold <number>", "batch: adds the column `label`, whether the score is at or above it", (text) =>
      numberOf("--threshold", text),
    )
    .option("--partition <name=value>", "batch: a folder for these predictions, repeatable", collectPartition)
    .option("--partition-by <columns>", "batch: folders by columns of the data, separated by commas", collectList)
    .option("--skip-bad-rows", "batch: set rows aside that the model does not take, and go on")
    .option("--threads <count>", "batch: cores to use (default: all)", threadsOf)
    .action(predict);
}

async function predict(name: string, options: PredictOptions): Promise<void> {
  refuseIgnored(options);
  if (options.batch === true) return predictBatch(name, options);
  const body = parse(await source(options));
  await withSession(options, async ({ client }) => {
    printJson(
      await client.call("endpoints.predict", { params: { name }, query: { protocol: options.protocol }, body }),
    );
  });
}

const ofBatch = [
  "input",
  "output",
  "keep",
  "predictionId",
  "outputs",
  "threshold",
  "partition",
  "partitionBy",
  "skipBadRows",
  "threads",
] as const;

/** What would be passed over in silence is not what was meant. */
function refuseIgnored(options: PredictOptions): void {
  const { batch = false, data, file, protocol } = options;
  const flag = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const stray = batch
    ? (["data", "file"] as const).find((name) => options[name] !== undefined)
    : ofBatch.find((name) => options[name] !== undefined);
  if (stray !== undefined) {
    throw new EspalierError("INVALID_INPUT", `${flag(stray)} is ${batch ? "not " : ""}for --batch`, {
      at: flag(stray),
      hint: batch ? "Rows of a batch are files: --input." : "Add --batch to predict files, or give a body by -d or -f.",
    });
  }
  if (data !== undefined && file !== undefined) {
    throw new EspalierError("INVALID_INPUT", "The body is given twice, by --data and by --file", { at: "--file" });
  }
  if (!["v2", "invocations"].includes(protocol)) {
    const hint = "One of invocations, v2.";
    throw new EspalierError("INVALID_INPUT", `"${protocol}" is no protocol`, { at: "--protocol", hint });
  }
}

function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isFinite(number)) return number;
  throw new EspalierError("INVALID_INPUT", `${option} takes a number, got "${text}"`, { at: option });
}

function threadsOf(text: string): number {
  const count = numberOf("--threads", text);
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new EspalierError("INVALID_INPUT", `--threads takes a whole number of at least 1, got ${text}`, {
    at: "--threads",
  });
}

function collectPartition(text: string, earlier?: Record<string, string>): Record<string, string> {
  if (text.indexOf("=") >= 1) return collectParameter(text, earlier);
  throw new EspalierError("INVALID_INPUT", `"${text}" is not name=value`, {
    at: "--partition",
    hint: "For example: --partition date=2026-11-25.",
  });
}

async function source(options: PredictOptions): Promise<string> {
  if (options.data !== undefined) return options.data;
  if (options.file === "-") return text(process.stdin);
  if (options.file !== undefined) {
    return readFile(options.file, "utf8").catch((error: unknown) => {
      throw new EspalierError("NOT_FOUND", "The body's file can not be read", { at: options.file ?? "", cause: error });
    });
  }
  throw new EspalierError("INVALID_INPUT", "There is no body", {
    hint: `For example: -d '{"dataframe_records": [{"distance": 500}]}'.`,
  });
}

/** The API's JSON has doubles for numbers: what they would round is refused, and never sent as another number. */
function parse(body: string): Json {
  const parsed = parsedBody(body);
  const rounded = longInteger(parsed);
  if (rounded === undefined) return parsed as Json;
  throw new EspalierError("UNSUPPORTED", `This command would send ${rounded} rounded to 53 bits`, {
    hint: "Post the body to the endpoint's own address (`espalier deploy <endpoint>` prints it): there 64 bits are exact.",
  });
}

function parsedBody(body: string): unknown {
  try {
    return parseLongJson(body);
  } catch (error) {
    throw new EspalierError(
      "INVALID_INPUT",
      `The body is not JSON: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
}

function longInteger(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value !== "object" || value === null) return undefined;
  for (const member of Object.values(value)) {
    const found = longInteger(member);
    if (found !== undefined) return found;
  }
  return undefined;
}
