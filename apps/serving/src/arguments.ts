import { parseArgs } from "node:util";
import { EspalierError } from "@espalier/core";
import { type ModelArguments, modelFlags, modelUsage, parseModelArguments } from "./model-arguments.ts";
import { platformPort } from "./platforms/environment.ts";

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
    | ModelArguments
    | {
        kind: "router";
        state: string;
        /** Descriptor of a listening socket that the process was born with, in place of a port. */
        listenDescriptor?: number;
      }
    | { kind: "program"; runtimeFile: string }
  );

export const usage = `Usage:
${modelUsage}
  serving router --state FILE [--port PORT]
  serving program --runtime FILE   (a program of yours, on a port that it is given)
All take --host, --announce FILE, --drain-seconds, --body-limit-bytes.`;

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
    const listenFd = values["listen-fd"];
    return {
      kind,
      state: values.state,
      ...common,
      ...(listenFd === undefined ? {} : { listenDescriptor: integer("listen-fd", listenFd, 1024, 3) }),
    };
  }
  if (kind === "program") {
    if (values.runtime === undefined) throw invalid("program needs --runtime FILE");
    return { kind, runtimeFile: values.runtime, ...common };
  }
  if (kind !== "model" && !isContainer) throw invalid(kind === undefined ? "no command" : `unknown command "${kind}"`);
  return { ...parseModelArguments(values, environment, common.host, { number, integer, invalid }), ...common };
}

function parseFlags(rest: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...rest],
      options: {
        port: text,
        host: text,
        state: text,
        "listen-fd": text,
        runtime: text,
        announce: text,
        "drain-seconds": text,
        "body-limit-bytes": text,
        ...modelFlags,
      },
    }).values;
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
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
