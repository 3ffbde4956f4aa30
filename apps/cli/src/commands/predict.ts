import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { EspalierError, type Json } from "@espalier/core";
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
    .option("--threshold <number>", "batch: adds the column `label`, whether the score is at or above it", numberOf)
    .option("--partition <name=value>", "batch: a folder for these predictions, repeatable", collectParameter)
    .option("--partition-by <columns>", "batch: folders by columns of the data, separated by commas", collectList)
    .option("--skip-bad-rows", "batch: set rows aside that the model does not take, and go on")
    .option("--threads <count>", "batch: cores to use (default: all)", numberOf)
    .action(predict);
}

async function predict(name: string, options: PredictOptions): Promise<void> {
  if (options.batch === true) return predictBatch(name, options);
  const body = parse(await source(options));
  await withSession(options, async ({ client }) => {
    printJson(
      await client.call("endpoints.predict", { params: { name }, query: { protocol: options.protocol }, body }),
    );
  });
}

function numberOf(text: string): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isFinite(number)) return number;
  throw new EspalierError("INVALID_INPUT", `"${text}" is no number`);
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

function parse(body: string): Json {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new EspalierError(
      "INVALID_INPUT",
      `The body is not JSON: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
}
