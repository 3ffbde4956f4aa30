import { spawn } from "node:child_process";

export interface Ended {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. undefined: there is no such program. Output is kept up to 1 MiB a stream, newest last. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended | undefined> {
  const child = spawn(program, [...args], { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout = (stdout + text).slice(-1024 * 1024);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-1024 * 1024);
  });
  return new Promise((resolve, reject) => {
    child.once("error", (error) => {
      if ("code" in error && error.code === "ENOENT") resolve(undefined);
      else reject(error);
    });
    child.once("close", (code, signal) =>
      resolve({ exitCode: code ?? 128 + (signal === "SIGKILL" ? 9 : 15), stdout, stderr }),
    );
  });
}
