import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { LayerEntry } from "@espalier/core";

const readBytes = 1024 * 1024;

/** A file of this machine at a place in an image. */
export async function fileEntry(
  path: string,
  source: string,
  options: { executable?: boolean } = {},
): Promise<LayerEntry> {
  const { size, mode } = await stat(source);
  return {
    kind: "file",
    path: path.replace(/^\/+/, ""),
    size,
    executable: options.executable ?? (mode & 0o111) !== 0,
    open: () => createReadStream(source, { highWaterMark: readBytes }),
  };
}

/** The files of a folder, wherever `keep` says so of their path in it. */
export async function folderEntries(
  place: string,
  source: string,
  keep: (path: string) => boolean = () => true,
): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = [];
  for (const found of await readdir(source, { recursive: true, withFileTypes: true })) {
    const full = join(found.parentPath, found.name);
    const path = full.slice(source.length + 1);
    if (found.isFile() && keep(path)) entries.push(await fileEntry(`${place}/${path}`, full, { executable: false }));
  }
  return entries;
}
