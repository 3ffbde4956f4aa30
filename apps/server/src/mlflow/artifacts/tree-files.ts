import { type ArtifactRef, type Artifacts, isTree, type TreeEntry } from "@espalier/core";
import type { FolderEntry, FolderPage } from "../../db/queries/files.ts";
import type { VirtualFiles } from "./folders.ts";

type Found = Awaited<ReturnType<VirtualFiles["find"]>>;

/** Of an artifact, where "" is itself when it is a file. */
export async function findInArtifact(artifacts: Artifacts, ref: ArtifactRef, path: string): Promise<Found> {
  if (!isTree(ref)) {
    if (path !== "") return undefined;
    const { digest, size } = ref;
    return {
      size,
      sha256: digest.slice("sha256:".length),
      open: async (range) => (await artifacts.open(ref, undefined, range === undefined ? {} : { range })).body,
    };
  }
  const slash = path.lastIndexOf("/");
  const level = await artifacts.level(ref, path.slice(0, Math.max(slash, 0)));
  const entry = level?.find((one) => one.path === path.slice(slash + 1));
  if (entry === undefined) return undefined;
  return {
    size: entry.size,
    sha256: entry.sha256,
    open: async (range) => (await artifacts.open(ref, path, range === undefined ? {} : { range })).body,
  };
}

export async function listArtifact(artifacts: Artifacts, ref: ArtifactRef, folder: string): Promise<FolderEntry[]> {
  const level = isTree(ref) ? await artifacts.level(ref, folder) : undefined;
  return (level ?? []).map(asFolderEntry);
}

function asFolderEntry({ path, size }: TreeEntry): FolderEntry {
  return path.endsWith("/") ? { name: path.slice(0, -1), isFolder: true } : { name: path, isFolder: false, size };
}

export function artifactEntry(name: string, ref: ArtifactRef): FolderEntry {
  return isTree(ref) ? { name, isFolder: true } : { name, isFolder: false, size: ref.size };
}

/** Of a list that is there whole. */
export function pageOfEntries(entries: readonly FolderEntry[], limit: number, after: string | undefined): FolderPage {
  const start = after === undefined || after === "" ? 0 : entries.findIndex((entry) => entry.name === after) + 1;
  const page = entries.slice(start, start + limit);
  const last = page.at(-1);
  return start + limit < entries.length && last !== undefined ? { entries: page, next: last.name } : { entries: page };
}
