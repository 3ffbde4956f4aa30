import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";
import type { Python } from "./python.ts";
import { runProgram } from "./run-program.ts";

/** A `uv` that runs: the user's own, or one that pip puts into the cache folder once. */
export async function findUv(cacheFolder: string, python: Python): Promise<string> {
  for (const program of ["uv", ownUv(cacheFolder)]) {
    if ((await runProgram(program, ["--version"]))?.exitCode === 0) return program;
  }
  return installUv(cacheFolder, python);
}

const ownUv = (cacheFolder: string): string => join(cacheFolder, "tools", "uv", "bin", "uv");

async function installUv(cacheFolder: string, python: Python): Promise<string> {
  const tools = join(cacheFolder, "tools");
  await mkdir(tools, { recursive: true });
  const folder = await mkdtemp(join(tools, "uv-"));
  try {
    await orFail(python.program, ["-m", "venv", folder], {
      what: "Python could not make a virtual environment",
      hint: "On Debian and Ubuntu the module comes with `apt-get install python3-venv`.",
      code: "NOT_INSTALLED",
    });
    await orFail(join(folder, "bin", "python"), ["-m", "pip", "install", "--quiet", "uv"], {
      what: "uv, which resolves and installs Python packages, could not be installed",
      hint: "Check the network and pip's settings, or install uv yourself: it is used when it is on the PATH.",
      code: "ENVIRONMENT_FAILED",
    });
    try {
      // uv is one native binary, so its folder may be renamed; whoever comes second uses what the first has put there.
      await rename(folder, join(tools, "uv"));
    } catch (error) {
      if ((await runProgram(ownUv(cacheFolder), ["--version"]))?.exitCode !== 0) throw error;
    }
    return ownUv(cacheFolder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function orFail(
  program: string,
  args: readonly string[],
  failure: {
    what: string;
    code: "NOT_INSTALLED" | "ENVIRONMENT_FAILED";
    hint: string;
    at?: string;
    cwd?: string;
    env?: NodeJS.ProcessEnv;
  },
): Promise<string> {
  const { cwd, env } = failure;
  const ended = await runProgram(program, args, { ...(cwd === undefined ? {} : { cwd }), ...(env ? { env } : {}) });
  if (ended?.exitCode === 0) return ended.stdout;
  const words = (ended?.stderr.trim() || ended?.stdout.trim() || `${program} did not start`).slice(-4000);
  throw new EspalierError(failure.code, `${failure.what}: ${words}`, {
    ...(failure.at === undefined ? {} : { at: failure.at }),
    hint: failure.hint,
    details: { output: words },
  });
}
