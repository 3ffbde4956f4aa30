import type { Dirent } from "node:fs";
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EspalierError } from "@espalier/core";

/** A file that says that a folder holds predictions alone, so that it may be replaced. Hidden from readers of tables. */
const markName = ".espalier-predictions";

/**
 * Puts predictions where their readers are: folders `name=value` each in place of the one before, and all others stay; predictions
 * without partitions in place of the whole folder. Each is moved in whole: a reader sees the old, for an instant none, then the new, and
 * never a half.
 */
export async function publishPredictions(fresh: string, target: string): Promise<void> {
  await requireReplaceable(target);
  const entries = await readdir(fresh, { withFileTypes: true });
  const isPartitioned = entries.length > 0 && entries.every(isPartition);
  if (!isPartitioned) {
    await writeFile(join(fresh, markName), "");
    await mkdir(dirname(target), { recursive: true });
    await swapIn(fresh, target, `${target}.espalier-old`);
    return;
  }
  await mkdir(target, { recursive: true });
  await requirePartitions(target);
  await writeFile(join(target, markName), "");
  // What is replaced goes beside the folder and not into it: there, readers would take it for one more partition.
  for (const { name } of entries) await swapIn(join(fresh, name), join(target, name), `${target}.espalier-old-${name}`);
}

const isPartition = (entry: Dirent): boolean => entry.isDirectory() && entry.name.includes("=");

/** ALREADY_EXISTS when the place is taken by something else than predictions. */
export async function requireReplaceable(target: string): Promise<void> {
  const found = await stat(target).catch(absent);
  if (found === undefined) return;
  const isOurs =
    found.isDirectory() &&
    ((await readdir(target)).length === 0 || (await readFile(join(target, markName)).catch(absent)) !== undefined);
  if (isOurs) return;
  throw new EspalierError("ALREADY_EXISTS", `${target} is there already and holds no predictions`, {
    at: "--output",
    hint: "Name a new folder: predictions replace what is in theirs.",
  });
}

/** ALREADY_EXISTS when the folder holds predictions that are no partitions: beside some, all would be read twice. */
export async function requirePartitions(target: string): Promise<void> {
  const entries = (await readdir(target, { withFileTypes: true }).catch(absent)) ?? [];
  if (entries.every((entry) => entry.name.startsWith(".") || isPartition(entry))) return;
  throw new EspalierError("ALREADY_EXISTS", `${target} holds predictions without partitions`, {
    at: "--output",
    hint: "Name another folder: together they would be read twice.",
  });
}

async function swapIn(fresh: string, target: string, old: string): Promise<void> {
  // What a killed command left: by now the target is there again, or comes back with what is moved in.
  await rm(old, { recursive: true, force: true });
  const isThere = (await stat(target).catch(absent)) !== undefined;
  if (isThere) await rename(target, old);
  await rename(fresh, target);
  await rm(old, { recursive: true, force: true });
}

export async function copyRejects(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, `${to}.partial`);
  await rename(`${to}.partial`, to);
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
  throw error;
}
