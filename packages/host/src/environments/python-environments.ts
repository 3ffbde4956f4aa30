import { chmod, mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { digestOfJson } from "@espalier/core";
import { type LockFile, lockFile, uvEnvironment } from "./lock-file.ts";
import { findPython, type Python } from "./python.ts";
import { findUv, orFail } from "./uv.ts";

export interface PythonEnvironments {
  /** Reads or resolves the lock of a requirements file of the project. */
  lock(projectFolder: string, requirements: string, pythonVersion?: string): Promise<LockFile>;
  /** Folder with `python` and the environment's programs; makes the environment when this machine does not have it yet. */
  bin(lockText: string, pythonVersion?: string): Promise<string>;
}

/** `$ESPALIER_CACHE`, else `~/.cache/espalier`. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return environment.ESPALIER_CACHE || join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "espalier");
}

export const platformName = (): string => `${process.platform}-${process.arch}`;

/**
 * Python environments by the digest of their lock, made once a machine. Errors: NOT_INSTALLED (no Python), ENVIRONMENT_FAILED (a
 * requirement that does not resolve or install, with uv's own words).
 */
export function createPythonEnvironments(cache: string = cacheFolder()): PythonEnvironments {
  const pythons = new Map<string, Promise<Python>>();
  const made = new Map<string, Promise<string>>();
  /** Two runs that start at once resolve a lock once. */
  const locking = new Map<string, Promise<LockFile>>();
  let uv: Promise<string> | undefined;

  const once = <Value>(known: Map<string, Promise<Value>>, key: string, make: () => Promise<Value>): Promise<Value> => {
    const found = known.get(key);
    if (found) return found;
    const started = make();
    known.set(key, started);
    // What failed may succeed next time, when the user has mended it.
    started.catch(() => known.delete(key));
    return started;
  };
  const pythonOf = (version: string | undefined): Promise<Python> =>
    once(pythons, version ?? "", () => findPython(version));
  const uvOf = (python: Python): Promise<string> => {
    uv ??= findUv(cache, python).catch((error: unknown) => {
      uv = undefined;
      throw error;
    });
    return uv;
  };

  return {
    async lock(projectFolder, requirements, pythonVersion) {
      const key = `${projectFolder}\n${requirements}\n${pythonVersion ?? ""}`;
      const running = locking.get(key);
      if (running) return running;
      const started = pythonOf(pythonVersion).then((python) =>
        lockFile({
          projectFolder,
          requirements,
          platform: platformName(),
          python,
          ...(pythonVersion === undefined ? {} : { pythonVersion }),
          uv: () => uvOf(python),
        }),
      );
      locking.set(key, started);
      try {
        return await started;
      } finally {
        locking.delete(key);
      }
    },
    async bin(lockText, pythonVersion) {
      const python = await pythonOf(pythonVersion);
      const digest = digestOfJson({ lock: lockText, python: python.version, platform: platformName() });
      const folder = join(cache, "environments", digest.slice(7));
      return once(made, folder, async () => {
        if (!(await isThere(join(folder, "packages.json")))) await make(folder, lockText, python, await uvOf(python));
        return join(folder, "bin");
      });
    },
  };
}

/** Made aside and renamed: an environment is there whole or not at all, however many processes make it at once. */
async function make(folder: string, lockText: string, python: Python, uv: string): Promise<void> {
  const parent = join(folder, "..");
  await mkdir(parent, { recursive: true });
  const temporary = await mkdtemp(join(parent, "new-"));
  const failure = {
    code: "ENVIRONMENT_FAILED" as const,
    hint: "Correct the requirement that is named above, remove the lock file if it is stale, and run again.",
    env: uvEnvironment(),
  };
  try {
    await orFail(uv, ["venv", "--quiet", "--allow-existing", "--relocatable", "--python", python.program, temporary], {
      ...failure,
      what: "The Python environment could not be made",
    });
    const lock = join(temporary, "lock.txt");
    await writeFile(lock, lockText);
    await orFail(uv, ["pip", "install", "--quiet", "--no-deps", "--python", temporary, "--requirement", lock], {
      ...failure,
      what: "The Python packages could not be installed",
    });
    const packages = [...lockText.matchAll(/^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)/gm)];
    const list = packages.map(([, name, version]) => ({ name, version }));
    await writeFile(
      join(temporary, "packages.json"),
      JSON.stringify({ python: python.version, packages: list }, null, 2),
    );
    // A model's worker may be another user than we are.
    await chmod(temporary, 0o755);
    try {
      await rename(temporary, folder);
    } catch (error) {
      if (!(await isThere(join(folder, "packages.json")))) throw error;
    }
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
