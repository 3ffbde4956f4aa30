import { constants } from "node:fs";
import { chmod, mkdir, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { EspalierError, type LocalFile, type LocalFiles, type WriteIntoFolder } from "@espalier/core";
import { readChunks, temporaryName, writeNewFile } from "./disk.ts";
import { fromDiskError, hasSystemCode } from "./disk-errors.ts";

/** The disk of this machine. */
export function createLocalFiles(): LocalFiles {
  return {
    async stat(path) {
      try {
        const found = await stat(path);
        if (!found.isFile() && !found.isDirectory()) {
          throw refused(path, "is neither a file nor a folder", "Pipes, sockets and devices can not be stored.");
        }
        return {
          kind: found.isDirectory() ? "folder" : "file",
          size: found.size,
          executable: (found.mode & constants.S_IXUSR) !== 0,
        };
      } catch (error) {
        if (hasSystemCode(error, "ENOENT", "ENOTDIR")) return undefined;
        throw fromDiskError(error, path);
      }
    },
    walk,
    read: (path) => readChunks(path),
    async writeFile(path, body, options) {
      const temporary = join(dirname(path), temporaryName());
      try {
        await mkdir(dirname(path), { recursive: true });
        await writeNewFile(temporary, body, { mode: modeOf(options) });
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw fromDiskError(error, path);
      }
    },
    async removeFile(path) {
      try {
        await rm(path, { force: true });
      } catch (error) {
        throw fromDiskError(error, path);
      }
    },
    async writeFolder(path, fill) {
      const temporary = join(dirname(path), temporaryName());
      try {
        await mkdir(temporary, { recursive: true });
        await fill(writerInto(temporary));
        // mkdir's mode is cut by the umask of the moment; a folder that its owner can not enter would be no use.
        await chmod(temporary, 0o755);
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { recursive: true, force: true });
        if (hasSystemCode(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) {
          throw new EspalierError("ALREADY_EXISTS", `${path} is there already`, {
            cause: error,
            at: path,
            hint: "Name a folder that does not exist yet.",
          });
        }
        throw fromDiskError(error, path);
      }
    },
  };
}

const modeOf = (options?: { executable?: boolean }): number => (options?.executable ? 0o755 : 0o644);

function writerInto(root: string): WriteIntoFolder {
  const made = new Map<string, Promise<unknown>>();
  return async (relativePath, body, options) => {
    const path = join(root, relativePath);
    const folder = dirname(path);
    const ready = made.get(folder) ?? mkdir(folder, { recursive: true });
    made.set(folder, ready);
    await ready;
    await writeNewFile(path, body, { mode: modeOf(options) });
  };
}

async function* walk(root: string, exclude?: (relativePath: string) => boolean): AsyncGenerator<LocalFile> {
  const realRoot = await realpath(root).catch((error: unknown) => {
    throw fromDiskError(error, root);
  });
  yield* walkFolder({ root, realRoot, exclude }, "", [realRoot]);
}

interface Walk {
  root: string;
  realRoot: string;
  exclude: ((relativePath: string) => boolean) | undefined;
}

/** `parents` are the real paths above, so that a symlink to one of them is found before it is followed for ever. */
async function* walkFolder(walk: Walk, folder: string, parents: readonly string[]): AsyncGenerator<LocalFile> {
  const absolute = join(walk.root, folder);
  const entries = await readdir(absolute, { withFileTypes: true }).catch((error: unknown) => {
    throw fromDiskError(error, absolute);
  });
  for (const entry of entries) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    const full = join(walk.root, path);
    if (entry.name.includes("\uFFFD")) {
      throw refused(full, "has a name that is not UTF-8", "Rename it.");
    }
    if (walk.exclude?.(path)) continue;
    const target = entry.isSymbolicLink() ? await insideTarget(walk, full) : full;
    const found = await stat(full).catch((error: unknown) => {
      throw fromDiskError(error, full);
    });
    if (found.isFile()) {
      yield { path, size: found.size, executable: (found.mode & constants.S_IXUSR) !== 0 };
    } else if (found.isDirectory()) {
      const real = entry.isSymbolicLink() ? target : join(parents.at(-1) ?? walk.realRoot, entry.name);
      if (parents.includes(real)) throw refused(full, "is a symlink to a folder above it", "Remove the symlink.");
      yield* walkFolder(walk, path, [...parents, real]);
    } else {
      throw refused(full, "is neither a file nor a folder", "Remove it, or exclude it.");
    }
  }
}

async function insideTarget(walk: Walk, full: string): Promise<string> {
  let target: string;
  try {
    target = await realpath(full);
  } catch (error) {
    if (hasSystemCode(error, "ENOENT", "ELOOP", "ENOTDIR")) {
      throw refused(full, "is a symlink that leads nowhere", "Remove it, or make its target.", error);
    }
    throw fromDiskError(error, full);
  }
  if (target !== walk.realRoot && !target.startsWith(walk.realRoot + sep)) {
    throw refused(full, "is a symlink that leads out of the folder", "Copy what it names into the folder.");
  }
  return target;
}

const refused = (path: string, why: string, hint: string, cause?: unknown): EspalierError =>
  new EspalierError("INVALID_INPUT", `${path} ${why}`, { at: path, hint, ...(cause === undefined ? {} : { cause }) });
