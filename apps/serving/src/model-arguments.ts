import { isIP } from "node:net";
import type { EspalierError } from "@espalier/core";
import { captureFlags, captureUsage, parseCaptureFlags } from "./capture/capture-arguments.ts";
import type { ModelServerOptions } from "./model-server.ts";
import { isMultiModel, platformModelFolder, vertexOptions } from "./platforms/environment.ts";
import { parsePythonFlags, pythonFlags, pythonUsage } from "./python/python-arguments.ts";

const text = { type: "string" } as const;
const texts = { type: "string", multiple: true } as const;
const flag = { type: "boolean" } as const;

/** Flags of `serving model` and `serving serve`. */
export const modelFlags = {
  "model-dir": text,
  "model-repository": text,
  name: text,
  version: text,
  alias: texts,
  "grpc-port": text,
  "max-batch-rows": text,
  "max-queue-requests": text,
  "max-concurrent-requests": text,
  "max-models": text,
  "allow-model-control": flag,
  "allow-model-control-anywhere": flag,
  "onnx-runtime": text,
  "onnx-threads": text,
  "max-batch-delay-ms": text,
  "slow-seconds": text,
  "log-requests": flag,
  ...captureFlags,
  ...pythonFlags,
} as const;

export const modelUsage = `  serving model --model-dir FOLDER --name NAME --version VERSION [--port PORT] [--grpc-port PORT] [--alias NAME]...
                [--max-batch-rows 256] [--max-queue-requests 1024] [--max-concurrent-requests N]
                [--onnx-runtime auto|inline|threads] [--onnx-threads N]
                [--max-batch-delay-ms 0] [--slow-seconds 1] [--log-requests]
                ${captureUsage}
                ${pythonUsage}
  serving model --model-repository FOLDER   (NAME or NAME/VERSION folders) [--allow-model-control]
  serving serve   (a container's command: model, its folder and port from the platform's environment, on 0.0.0.0)`;

export interface ModelArguments extends ModelServerOptions {
  kind: "model";
  grpcPort?: number;
}

type Texts = "alias" | "capture-drop" | "capture-hash";
type Flags = "allow-model-control" | "allow-model-control-anywhere" | "log-requests" | "capture-score-only";
export type ModelFlagValues = Readonly<
  Partial<
    Record<Exclude<keyof typeof modelFlags, Texts | Flags>, string> & Record<Texts, string[]> & Record<Flags, boolean>
  >
>;

interface Parsers {
  number(flag: string, text: string, maximum: number): number;
  integer(flag: string, text: string, maximum: number, minimum?: number): number;
  invalid(message: string): EspalierError;
}

/** Errors: INVALID_INPUT, and those of the platform's environment. */
export function parseModelArguments(
  values: ModelFlagValues,
  environment: NodeJS.ProcessEnv,
  host: string,
  parsers: Parsers,
): ModelArguments {
  const { number, integer, invalid } = parsers;
  const repositoryDirectory = values["model-repository"];
  const isMulti = isMultiModel(environment);
  const modelDirectory =
    values["model-dir"] ??
    (repositoryDirectory === undefined && !isMulti ? platformModelFolder(environment) : undefined);
  if (modelDirectory === undefined && repositoryDirectory === undefined && !isMulti) {
    throw invalid("model needs --model-dir FOLDER or --model-repository FOLDER");
  }
  if (modelDirectory !== undefined && repositoryDirectory !== undefined) {
    throw invalid("model takes --model-dir or --model-repository, not both");
  }
  const grpcPort = values["grpc-port"] ?? environment.ESPALIER_GRPC_PORT;
  const vertex = vertexOptions(environment);
  const capture = parseCaptureFlags(values, parsers);
  const count = (name: "max-batch-rows" | "max-queue-requests", standard: string) =>
    integer(name, values[name] ?? standard, 1_000_000, 1);
  return {
    kind: "model",
    name: values.name ?? environment.ESPALIER_MODEL_NAME ?? "model",
    version: values.version ?? environment.ESPALIER_MODEL_VERSION ?? "1",
    aliases: values.alias ?? [],
    maxBatchRows: count("max-batch-rows", "256"),
    maxQueueRequests: count("max-queue-requests", "1024"),
    allowModelControl: isControlAllowed(values, host, invalid),
    runtime: runtimeOptions(values, environment, parsers),
    logging: {
      requests: values["log-requests"] === true ? "all" : "problems",
      slowSeconds: number("slow-seconds", values["slow-seconds"] ?? "1", 3600),
    },
    ...(modelDirectory === undefined ? {} : { modelDirectory }),
    ...(repositoryDirectory === undefined ? {} : { repositoryDirectory }),
    ...(grpcPort === undefined ? {} : { grpcPort: integer("grpc-port", grpcPort, 65535) }),
    ...(vertex === undefined ? {} : { vertex }),
    ...(isMulti
      ? { sagemakerMultiModel: { maxModels: integer("max-models", values["max-models"] ?? "1000", 1e6, 1) } }
      : {}),
    ...(capture === undefined ? {} : { capture }),
  };
}

/** Who reaches this address can take a model away, so that must be meant. */
function isControlAllowed(values: ModelFlagValues, host: string, invalid: Parsers["invalid"]): boolean {
  if (values["allow-model-control-anywhere"] === true) return true;
  if (values["allow-model-control"] !== true) return false;
  if (host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."))) return true;
  throw invalid(
    `--allow-model-control is for loopback, and this server listens on ${host}; --allow-model-control-anywhere lets whoever reaches it load and unload models`,
  );
}

function runtimeOptions(
  values: ModelFlagValues,
  environment: NodeJS.ProcessEnv,
  { number, integer, invalid }: Parsers,
): NonNullable<ModelServerOptions["runtime"]> {
  const runtime = values["onnx-runtime"];
  if (runtime !== undefined && runtime !== "auto" && runtime !== "inline" && runtime !== "threads") {
    throw invalid(`--onnx-runtime must be auto, inline or threads, got "${runtime}"`);
  }
  const threads = values["onnx-threads"];
  const delay = values["max-batch-delay-ms"];
  const concurrent = values["max-concurrent-requests"];
  return {
    python: parsePythonFlags(values, environment, { number, integer }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(delay === undefined ? {} : { maxDelayMilliseconds: number("max-batch-delay-ms", delay, 10_000) }),
    ...(threads === undefined ? {} : { threads: integer("onnx-threads", threads, 1024, 1) }),
    ...(concurrent === undefined
      ? {}
      : { maxConcurrentRequests: integer("max-concurrent-requests", concurrent, 1_000_000, 1) }),
  };
}
