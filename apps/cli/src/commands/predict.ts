import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { EspalierError, type Json } from "@espalier/core";
import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson } from "../terminal/output.ts";

interface PredictOptions extends CommonOptions {
  data?: string;
  file?: string;
  protocol: "v2" | "invocations";
}

export function command(): Command {
  return projectCommand(
    "predict",
    "Ask an endpoint for predictions. The body is JSON: MLflow's forms, or Open Inference Protocol V2.",
  )
    .argument("<endpoint>", "the endpoint")
    .option("-d, --data <json>", "the body")
    .option("-f, --file <path>", "a file with the body (-: standard input)")
    .option("--protocol <name>", "invocations or v2", "invocations")
    .action(predict);
}

async function predict(name: string, options: PredictOptions): Promise<void> {
  const body = parse(await source(options));
  await withSession(options, async ({ client }) => {
    printJson(
      await client.call("endpoints.predict", { params: { name }, query: { protocol: options.protocol }, body }),
    );
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
