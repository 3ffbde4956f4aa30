import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type CustomRuntime, customRuntimeSchema, EspalierError } from "@espalier/core";
import { z } from "zod";

/** What the deployer writes for one process: the runtime of the version, and the folder of its model. */
export type ProgramRuntime = CustomRuntime & { model: string };

/** Errors: NOT_FOUND, INVALID_CONFIG. */
export async function readRuntime(file: string): Promise<ProgramRuntime> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw new EspalierError("NOT_FOUND", `The runtime can not be read: ${file}`, { at: file, cause });
  }
  const { model, ...rest } = z.looseObject({ model: z.string() }).parse(json);
  const parsed = customRuntimeSchema.safeParse(rest);
  if (parsed.success) return { ...parsed.data, model };
  throw new EspalierError("INVALID_CONFIG", `The runtime is not understood: ${z.prettifyError(parsed.error)}`, {
    at: file,
  });
}

const containerModel = "/mnt/models";
const defaultContainerPort = 8080;

/** One container a process of a version, so that what a killed process left is found again. */
export function containerName(runtimeFile: string): string {
  return `espalier-${createHash("sha256").update(runtimeFile).digest("hex").slice(0, 20)}`;
}

/**
 * Program, arguments and variables of one process that listens on `port` of this machine. A container gets the name, in place of one that
 * still has it.
 */
export function programCommand(
  runtime: ProgramRuntime,
  port: number,
  name: string,
): { file: string; args: string[]; environment: Record<string, string> } {
  const { image, portVariable = "PORT", environment = {}, command = [] } = runtime;
  if (image === undefined) {
    const [file = "", ...args] = command.map((part) => filled(part, port, runtime.model));
    return { file, args, environment: { ...environment, [portVariable]: String(port) } };
  }
  const inside = runtime.containerPort ?? defaultContainerPort;
  const variables = Object.entries({ ...environment, [portVariable]: String(inside) });
  return {
    file: "podman",
    args: [
      ...["run", "--rm", "--replace", "--name", name, "--sig-proxy=true", "--publish", `127.0.0.1:${port}:${inside}`],
      ...["--volume", `${runtime.model}:${containerModel}:ro`],
      ...variables.flatMap(([variable, value]) => ["--env", `${variable}=${value}`]),
      image,
      ...command.map((part) => filled(part, inside, containerModel)),
    ],
    environment: {},
  };
}

function filled(part: string, port: number, model: string): string {
  return part.replaceAll("{port}", String(port)).replaceAll("{model}", model);
}
