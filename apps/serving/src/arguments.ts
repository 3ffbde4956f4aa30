import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { EspalierError } from "@espalier/core";

interface ListenArguments {
  host: string;
  port: number;
  /** File in which the process says its port, or why it will not serve. */
  announce?: string;
  /** Seconds between SIGTERM and the last accepted request, for load balancers that look at readiness. */
  drainSeconds: number;
  bodyLimitBytes: number;
}

export type ServingArguments = ListenArguments &
  (
    | {
        kind: "model";
        modelDirectory: string;
        name: string;
        version: string;
        aliases: string[];
        maxBatchRows: number;
        maxQueueRequests: number;
        captureDirectory?: string;
        captureRate: number;
      }
    | { kind: "router"; state: string }
  );

const usage = `Usage:
  serving model --model-dir FOLDER --name NAME --version VERSION [--port PORT] [--alias NAME]...
                [--capture-dir FOLDER] [--capture-rate 0..1] [--max-batch-rows 256] [--max-queue-requests 1024]
  serving router --state FILE [--port PORT]
  serving serve   (a container's command: model, its folder and port from the platform's environment, on 0.0.0.0)
Both take --host, --announce FILE, --drain-seconds, --body-limit-bytes.`;

const modelFolders = ["/opt/ml/model", "/mnt/models"];

/** Errors: INVALID_INPUT with the usage. Environment: what SageMaker, Vertex AI, Azure ML and KServe set. */
export function parseServingArguments(argv: readonly string[], environment: NodeJS.ProcessEnv): ServingArguments {
  const [kind, ...rest] = argv;
  const values = parseFlags(rest);
  const isContainer = kind === "serve";
  const common: ListenArguments = {
    host: values.host ?? (isContainer ? "0.0.0.0" : "127.0.0.1"),
    port: integer("port", values.port ?? platformPort(environment) ?? (isContainer ? "8080" : "0"), 65535),
    drainSeconds: number("drain-seconds", values["drain-seconds"] ?? (isContainer ? "5" : "0"), 3600),
    bodyLimitBytes: integer("body-limit-bytes", values["body-limit-bytes"] ?? String(16 * 1024 * 1024), 2 ** 31),
    ...(values.announce === undefined ? {} : { announce: values.announce }),
  };
  if (kind === "router") {
    if (values.state === undefined) throw invalid("router needs --state FILE");
    return { kind, state: values.state, ...common };
  }
  if (kind !== "model" && !isContainer) throw invalid(kind === undefined ? "no command" : `unknown command "${kind}"`);
  const modelDirectory = values["model-dir"] ?? platformModelFolder(environment);
  if (modelDirectory === undefined) throw invalid("model needs --model-dir FOLDER");
  return {
    kind: "model",
    modelDirectory,
    name: values.name ?? environment.ESPALIER_MODEL_NAME ?? "model",
    version: values.version ?? environment.ESPALIER_MODEL_VERSION ?? "1",
    aliases: values.alias ?? [],
    maxBatchRows: integer("max-batch-rows", values["max-batch-rows"] ?? "256", 1_000_000, 1),
    maxQueueRequests: integer("max-queue-requests", values["max-queue-requests"] ?? "1024", 1_000_000, 1),
    captureRate: number("capture-rate", values["capture-rate"] ?? "0", 1),
    ...(values["capture-dir"] === undefined ? {} : { captureDirectory: values["capture-dir"] }),
    ...common,
  };
}

function parseFlags(rest: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...rest],
      options: {
        "model-dir": text,
        name: text,
        version: text,
        alias: { type: "string", multiple: true },
        port: text,
        host: text,
        state: text,
        announce: text,
        "drain-seconds": text,
        "body-limit-bytes": text,
        "max-batch-rows": text,
        "max-queue-requests": text,
        "capture-dir": text,
        "capture-rate": text,
      },
    }).values;
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

function platformPort(environment: NodeJS.ProcessEnv): string | undefined {
  return environment.AIP_HTTP_PORT ?? environment.SAGEMAKER_BIND_TO_PORT ?? environment.PORT;
}

function platformModelFolder(environment: NodeJS.ProcessEnv): string | undefined {
  return environment.AZUREML_MODEL_DIR ?? modelFolders.find((folder) => existsSync(folder));
}

function number(flag: string, text: string, maximum: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= maximum)) {
    throw invalid(`--${flag} must be a number from 0 to ${maximum}, got "${text}"`);
  }
  return value;
}

function integer(flag: string, text: string, maximum: number, minimum = 0): number {
  const value = number(flag, text, maximum);
  if (!Number.isInteger(value) || value < minimum) {
    throw invalid(`--${flag} must be a whole number from ${minimum} to ${maximum}, got "${text}"`);
  }
  return value;
}

function invalid(message: string): EspalierError {
  return new EspalierError("INVALID_INPUT", message, { hint: usage });
}
