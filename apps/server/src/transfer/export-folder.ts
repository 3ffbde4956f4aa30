import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EspalierError } from "@espalier/core";

/** Names of what an export writes at its top, beside the folders. */
const markerFile = "espalier-export.json";
const manifestFile = "manifest.json";

interface Marker {
  format: 1;
  /** By it the ledger knows what this very folder has. */
  id: string;
  project: string;
}

/** Makes the folder, or takes up the one that an earlier try began. CONFLICT: it holds something else. */
export async function openExportFolder(folder: string, project: string): Promise<Marker> {
  await mkdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST" && error.code !== "ENOTDIR") throw error;
    throw new EspalierError("CONFLICT", `${folder} can not be a folder: ${error.message}`, {
      at: folder,
      hint: "Name a folder that is empty or is not there yet.",
      cause: error,
    });
  });
  const names = await readdir(folder);
  if (names.includes(markerFile)) {
    const marker = JSON.parse(await readFile(join(folder, markerFile), "utf8")) as Marker;
    if (marker.format === 1 && marker.project === project) return marker;
    throw new EspalierError("CONFLICT", `${folder} holds an export of the project ${marker.project}`, {
      at: folder,
      hint: "Name another folder.",
    });
  }
  if (names.length > 0) {
    throw new EspalierError("CONFLICT", `${folder} is not empty, and holds no export`, {
      at: folder,
      hint: "Name a folder that is empty or is not there yet.",
    });
  }
  const marker: Marker = { format: 1, id: randomUUID(), project };
  await writeWhole(join(folder, markerFile), `${JSON.stringify(marker)}\n`);
  return marker;
}

/** Whole or not there. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(temporary, text);
  await rename(temporary, path);
}

export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}

/** Every file with size and SHA-256, in the order of their paths, and written last: an export without it is not whole. */
export async function writeManifest(
  folder: string,
  project: string,
  signal: AbortSignal,
): Promise<{ files: number; bytes: number }> {
  const files: { path: string; size: number; sha256: string }[] = [];
  let bytes = 0;
  for (const path of await filesBelow(folder)) {
    signal.throwIfAborted();
    if (path === manifestFile) continue;
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of createReadStream(join(folder, path))) {
      hash.update(chunk as Buffer);
      size += (chunk as Buffer).length;
    }
    bytes += size;
    files.push({ path, size, sha256: hash.digest("hex") });
  }
  const manifest = { format: 1, project, exportedAt: new Date().toISOString(), files };
  await writeWhole(join(folder, manifestFile), `${JSON.stringify(manifest, undefined, 1)}\n`);
  return { files: files.length, bytes };
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".tmp"))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
