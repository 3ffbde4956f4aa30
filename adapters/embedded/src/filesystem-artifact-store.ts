import { chmod, link, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type ArtifactStore, type ByteStream, EspalierError, type ToolManifest } from "@espalier/core";
import { z } from "zod";
import { readChunks, removeStaleTemporaries, temporaryName, writeNewFile } from "./disk.ts";
import { fromDiskError, hasSystemCode } from "./disk-errors.ts";

export const filesystemConfigSchema = z.strictObject({
  /** Folder of the store. */
  path: z.string().min(1),
  /** true: an object survives a power cut the moment it is published, at the price of a disk flush each. */
  sync: z.boolean().optional(),
});
export type FilesystemConfig = z.infer<typeof filesystemConfigSchema>;

export const filesystemManifest: ToolManifest = {
  tool: "filesystem",
  provider: "embedded",
  component: "artifacts",
  milestone: 1,
  summary: "Artifacts as files in a folder of this machine or of a shared disk",
  capabilities: [],
  skills: [],
  ownership: {
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    carries: { dataGigabytes: 1000 },
    lockIn: 0,
    wayOut: "files and folders, or `espalier move`",
    source: "nothing is added to run or to pay",
    asOf: "2026-11-27",
  },
  cost: { money: "disk space", operations: "backups of one folder" },
  verified: { label: "real", against: "Linux, ext4 and overlayfs", live: "not applicable" },
  losses: ["No signed URLs of its own: the control plane signs and serves them."],
};

const pageKeys = 1000;

export function createFilesystemArtifactStore(config: FilesystemConfig): ArtifactStore {
  const root = resolve(config.path);
  const temporaryFolder = join(root, ".tmp");
  let prepared: Promise<void> | undefined;
  const prepare = async (): Promise<void> => {
    await mkdir(temporaryFolder, { recursive: true });
    await removeStaleTemporaries(temporaryFolder);
  };
  const pathOf = (key: string): string => join(root, checkedKey(key));

  return {
    async put(key, body, options) {
      const path = pathOf(key);
      const temporary = join(temporaryFolder, temporaryName());
      try {
        prepared ??= prepare().catch((error: unknown) => {
          // What failed once (a full disk) is tried again by the next put.
          prepared = undefined;
          throw error;
        });
        await prepared;
        if (options.ifAbsent && (await exists(path))) return;
        const linked = options.localCopy !== undefined && (await linkCopy(options.localCopy, temporary, config.sync));
        const size = linked
          ? (await stat(temporary)).size
          : await writeNewFile(temporary, abortable(body, options.signal), {
              mode: 0o444,
              maxBytes: options.size,
              sync: config.sync ?? false,
            });
        if (size !== options.size) throw wrongSize(key, options.size, size);
        await publishInto(dirname(path), () => publish(temporary, path, options.ifAbsent ?? false));
        if (config.sync) await syncPath(dirname(path));
      } catch (error) {
        throw fromDiskError(error, path);
      } finally {
        await rm(temporary, { force: true });
      }
    },
    async get(key, options) {
      const path = pathOf(key);
      try {
        await stat(path);
      } catch (error) {
        throw fromDiskError(error, path);
      }
      // Opened on the first read only: a stream that nobody reads must not keep a file open.
      return abortable(readChunks(path, options?.range), options?.signal);
    },
    async head(key) {
      const path = pathOf(key);
      try {
        const found = await stat(path);
        return found.isFile() ? { size: found.size } : undefined;
      } catch (error) {
        if (hasSystemCode(error, "ENOENT", "ENOTDIR")) return undefined;
        throw fromDiskError(error, path);
      }
    },
    async delete(key) {
      const path = pathOf(key);
      try {
        await rm(path, { force: true });
      } catch (error) {
        if (!hasSystemCode(error, "ENOTDIR")) throw fromDiskError(error, path);
      }
    },
    async list(prefix, cursor) {
      const keys: string[] = [];
      for await (const key of keysBelow(root, "", prefix, cursor ?? "")) {
        if (keys.length === pageKeys) return { keys, next: keys[pageKeys - 1] as string };
        keys.push(key);
      }
      return { keys };
    },
  };
}

/** Keys never lead out of the store, whoever made them. */
function checkedKey(key: string): string {
  const isPlain = /^[A-Za-z0-9._/-]{1,512}$/.test(key);
  if (!isPlain || key.split("/").some((segment) => segment === "" || segment === "." || segment === "..")) {
    throw new EspalierError("INVALID_INPUT", `${JSON.stringify(key)} can not be a key of an artifact store`);
  }
  return key;
}

const wrongSize = (key: string, promised: number, found: number): EspalierError =>
  new EspalierError(
    "INVALID_INPUT",
    `${key} was announced with ${promised} bytes but has ${found > promised ? "more" : found}`,
  );

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasSystemCode(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
}

/** The folder is there but for the first object in it, so it is made only when it is missed. */
async function publishInto(folder: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!hasSystemCode(error, "ENOENT")) throw error;
    await mkdir(folder, { recursive: true });
    await work();
  }
}

/** A link fails when another writer was first, and its bytes stay; file systems without links get a rename. */
async function publish(temporary: string, path: string, ifAbsent: boolean): Promise<void> {
  if (!ifAbsent) return rename(temporary, path);
  try {
    await link(temporary, path);
  } catch (error) {
    if (hasSystemCode(error, "EEXIST")) return;
    if (!hasSystemCode(error, "EPERM", "ENOTSUP", "ENOSYS", "EMLINK")) throw error;
    await rename(temporary, path);
  }
}

/** false: the file lies on another disk, or the disk knows no links, and must be copied. */
async function linkCopy(from: string, to: string, sync: boolean | undefined): Promise<boolean> {
  try {
    await link(from, to);
  } catch (error) {
    if (hasSystemCode(error, "EXDEV", "EPERM", "ENOTSUP", "ENOSYS", "EMLINK")) return false;
    throw error;
  }
  await chmod(to, 0o444);
  if (sync === true) await syncPath(to);
  return true;
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function* abortable(body: ByteStream, signal: AbortSignal | undefined): ByteStream {
  for await (const chunk of body) {
    if (signal?.aborted) throw new EspalierError("CANCELLED", "The transfer was cancelled", { cause: signal.reason });
    yield chunk;
  }
}

/** Depth first in the order of whole keys; folders that can hold neither the prefix nor what comes after the cursor are not read. */
async function* keysBelow(root: string, folder: string, prefix: string, cursor: string): AsyncGenerator<string> {
  let entries: { name: string; isFolder: boolean }[];
  try {
    const found = await readdir(join(root, folder), { withFileTypes: true });
    entries = found.map((entry) => ({
      name: entry.isDirectory() ? `${entry.name}/` : entry.name,
      isFolder: entry.isDirectory(),
    }));
  } catch (error) {
    if (hasSystemCode(error, "ENOENT", "ENOTDIR")) return;
    throw fromDiskError(error, join(root, folder));
  }
  // Keys are ASCII, so the order of UTF-16 units is that of UTF-8; the slash of a folder takes part in it.
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, isFolder } of entries) {
    const key = `${folder}${name}`;
    if (key === ".tmp/") continue;
    if (isFolder) {
      const mayMatch = key.startsWith(prefix) || prefix.startsWith(key);
      if (mayMatch && (key > cursor || cursor.startsWith(key))) yield* keysBelow(root, key, prefix, cursor);
    } else if (key.startsWith(prefix) && key > cursor) {
      yield key;
    }
  }
}
