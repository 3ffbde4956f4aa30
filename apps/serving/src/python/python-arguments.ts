import type { PythonOptions } from "./python-model.ts";

/** Flags of the model server for models that Python runs. */
export const pythonFlags = {
  python: { type: "string" },
  "python-workers": { type: "string" },
  "python-timeout-seconds": { type: "string" },
  "python-start-seconds": { type: "string" },
  "python-memory-bytes": { type: "string" },
} as const;

export const pythonUsage =
  "[--python PROGRAM] [--python-workers 1] [--python-timeout-seconds 60] [--python-start-seconds 300] [--python-memory-bytes BYTES]";

interface Numbers {
  number(flag: string, text: string, maximum: number): number;
  integer(flag: string, text: string, maximum: number, minimum?: number): number;
}

/** `ESPALIER_MODEL_PYTHON` names the program where the command line does not, as in an image. */
export function parsePythonFlags(
  values: Readonly<Partial<Record<keyof typeof pythonFlags, string>>>,
  environment: NodeJS.ProcessEnv,
  { number, integer }: Numbers,
): PythonOptions {
  const program = values.python ?? environment["ESPALIER_MODEL_PYTHON"];
  const workers = values["python-workers"];
  const timeout = values["python-timeout-seconds"];
  const start = values["python-start-seconds"];
  const memory = values["python-memory-bytes"];
  return {
    ...(program === undefined || program === "" ? {} : { program }),
    ...(workers === undefined ? {} : { workers: integer("python-workers", workers, 256, 1) }),
    ...(timeout === undefined ? {} : { timeoutSeconds: number("python-timeout-seconds", timeout, 86_400) }),
    ...(start === undefined ? {} : { startSeconds: number("python-start-seconds", start, 86_400) }),
    ...(memory === undefined ? {} : { memoryBytes: integer("python-memory-bytes", memory, 2 ** 50, 64 * 1024 * 1024) }),
  };
}
