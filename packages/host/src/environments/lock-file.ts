import { randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { digestOfBytes, EspalierError } from "@espalier/core";
import type { Python } from "./python.ts";
import { orFail } from "./uv.ts";

export interface LockRequest {
  projectFolder: string;
  /** Path of requirements.txt, pyproject.toml or uv.lock in the project. */
  requirements: string;
  /** `linux-x64` */
  platform: string;
  python: Python;
  /** The version that the step asks for; its lock lies beside that of the machine's own Python. */
  pythonVersion?: string;
  /** Makes uv ready; called only when something has to be resolved. */
  uv(): Promise<string>;
}

export interface LockFile {
  /** Absolute. */
  path: string;
  /** What decides the environment: pins, Python and platform. A comment in the source does not change it. */
  text: string;
  /** It was resolved just now, and should be committed. */
  fresh: boolean;
}

/**
 * The lock of an environment: resolved once a platform and Python version, beside what it was made from, and meant to be committed. It is
 * resolved again when its source changes; versions that still fit are kept. Errors: NOT_FOUND, UNSUPPORTED, ENVIRONMENT_FAILED.
 */
export async function lockFile(request: LockRequest): Promise<LockFile> {
  const source = join(request.projectFolder, request.requirements);
  const name = basename(source);
  if (/\.(yml|yaml)$/.test(name)) {
    throw new EspalierError("UNSUPPORTED", `Conda environments are not supported yet: ${request.requirements}`, {
      at: request.requirements,
      hint: "List the packages in a requirements.txt.",
    });
  }
  const text = await readSource(source, request.requirements);
  const path = join(dirname(source), lockName(name, request));
  const head = `# espalier lock 1, source ${digestOfBytes(text)}, python ${minor(request.python)}, ${request.platform}`;
  const known = await readIfThere(path);
  const content = (pins: string): string => `# python ${minor(request.python)}, ${request.platform}\n${pins}`;
  if (known?.startsWith(`${head}\n`)) return { path, text: content(known.slice(head.length + 1)), fresh: false };
  const pins = name === "uv.lock" ? await exportUvLock(request, source) : await resolve(request, source, path);
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, `${head}\n${pins}`);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  return { path, text: content(pins), fresh: true };
}

const minor = (python: Python): string => python.version.split(".").slice(0, 2).join(".");

/** `requirements.txt` -> `requirements.lock.linux-x64.txt`, and for a wanted Python `requirements.lock.python3.12.linux-x64.txt` */
function lockName(name: string, { platform, pythonVersion }: LockRequest): string {
  const stem = name.replace(/\.(txt|in|toml|lock)$/, "");
  return `${stem}.lock.${pythonVersion === undefined ? "" : `python${pythonVersion}.`}${platform}.txt`;
}

async function readSource(path: string, shown: string): Promise<string> {
  const text = await readIfThere(path);
  if (text !== undefined) return text;
  throw new EspalierError("NOT_FOUND", `There is no ${shown} in the project`, {
    at: shown,
    hint: "Create it, or correct `environment.python` of the step.",
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** No index, path or comment of the resolver goes into the lock: it must be the same wherever it was made. */
const plain = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"];

async function resolve(request: LockRequest, source: string, path: string): Promise<string> {
  const uv = await request.uv();
  const keep = (await readIfThere(path)) === undefined ? [] : ["--output-file", path];
  const args = ["pip", "compile", source, "--quiet", "--generate-hashes", ...plain, "--python", request.python.program];
  const text = await orFail(uv, [...args, ...keep], {
    what: `The requirements of ${request.requirements} could not be resolved`,
    code: "ENVIRONMENT_FAILED",
    at: request.requirements,
    hint: "Correct the requirement that is named above: a wrong name or version, or nothing for this platform and Python.",
    cwd: request.projectFolder,
    env: uvEnvironment(),
  });
  return keep.length === 0 ? text : readFile(path, "utf8");
}

async function exportUvLock(request: LockRequest, source: string): Promise<string> {
  const uv = await request.uv();
  return orFail(uv, ["export", "--frozen", "--quiet", "--no-header", "--no-annotate", "--no-emit-project"], {
    what: `${request.requirements} could not be read`,
    code: "ENVIRONMENT_FAILED",
    at: request.requirements,
    hint: "`uv lock` makes it anew; its pyproject.toml must lie beside it.",
    cwd: dirname(source),
    env: uvEnvironment(),
  });
}

/** A Python of uv's own would come from elsewhere than the registry. */
export const uvEnvironment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  UV_PYTHON_DOWNLOADS: "never",
  UV_NO_PROGRESS: "1",
});
