import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EspalierError, type TrackedFile } from "@espalier/core";

/** Writes below one folder as MLflow's file store lays it out; each file is whole or not there. */
export interface MlrunsFiles {
  /** A `meta.yaml`. Every value is written as JSON, which YAML holds as it is. */
  meta(place: string, values: Readonly<Record<string, unknown>>): Promise<void>;
  /** One file a key, its content the value; false: the key is no path that may be written. */
  text(place: string, key: string, value: string): Promise<boolean>;
  remove(place: string): Promise<void>;
  /** Appends to one file. */
  append(place: string, key: string, lines: string): Promise<boolean>;
  file(place: string, file: TrackedFile): Promise<void>;
  folders(place: string): Promise<string[]>;
}

/** Parts of a path that lead nowhere else. MLflow allows slashes in keys. */
const isSafe = (path: string): boolean =>
  path !== "" && path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0"));

export function createMlrunsFiles(folder: string): MlrunsFiles {
  async function write(path: string, content: string): Promise<void> {
    const target = join(folder, path);
    const temporary = `${target}.${randomUUID()}.tmp`;
    await mkdir(dirname(target), { recursive: true });
    await writeFile(temporary, content);
    await rename(temporary, target);
  }
  return {
    meta: (place, values) => {
      const lines = Object.entries(values).map(([key, value]) => `${key}: ${JSON.stringify(value ?? null)}\n`);
      return write(`${place}/meta.yaml`, lines.join(""));
    },
    async text(place, key, value) {
      if (!isSafe(key)) return false;
      await write(`${place}/${key}`, value);
      return true;
    },
    remove: (place) => rm(join(folder, place), { recursive: true, force: true }),
    async append(place, key, lines) {
      if (!isSafe(key)) return false;
      const target = join(folder, place, key);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, lines, { flag: "a" });
      return true;
    },
    async file(place, file) {
      if (!isSafe(file.path)) {
        throw new EspalierError("INVALID_INPUT", `${file.path} leads out of its folder`, { at: file.path });
      }
      const target = join(folder, place, file.path);
      const temporary = `${target}.${randomUUID()}.tmp`;
      await mkdir(dirname(target), { recursive: true });
      await pipeline(Readable.from(await file.open()), createWriteStream(temporary));
      await rename(temporary, target);
    },
    async folders(place) {
      try {
        return (await readdir(join(folder, place), { withFileTypes: true }))
          .filter((entry) => entry.isDirectory())
          .map(({ name }) => name);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw error;
      }
    },
  };
}

/** As Python writes floats, so that MLflow reads them back. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return String(value);
}

export const shortHash = (...parts: readonly string[]): string =>
  createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 32);
