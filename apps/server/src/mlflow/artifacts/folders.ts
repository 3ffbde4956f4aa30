import type { ArtifactRef, ByteStream } from "@espalier/core";
import type { ControlPlane } from "../../control-plane.ts";
import type { FolderEntry, FolderPage } from "../../db/queries/files.ts";
import { modelFiles, modelsFolder } from "./model-files.ts";
import { outputFiles } from "./output-files.ts";

export interface FoundFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Hexadecimal, of its bytes. */
  sha256: string;
  /** Of a file that is an object of the store by itself. */
  blob?: ArtifactRef;
  /** Bytes of a range, `end` exclusive; without one the whole file, verified on its way. */
  open(range?: { start: number; end: number }): Promise<ByteStream>;
}

/** Files that nobody put where they are shown. Paths are below where it is shown; "" is its root. */
export interface VirtualFiles {
  find(path: string): Promise<Omit<FoundFile, "path"> | undefined>;
  /** In an order of their own; `after` is the name of the last one told. */
  list(folder: string, limit: number, after?: string): Promise<FolderPage>;
}

/**
 * Everything that can be read by a path of the artifact proxy: what clients put there; beside it, in runs of pipelines, what their steps
 * published; and the files of models on record by the digest of a version. Paths are canonical.
 */
export interface ArtifactFolders {
  find(path: string): Promise<FoundFile | undefined>;
  /** An absent folder, or a file, is an empty folder. */
  list(folder: string, limit: number, after?: string): Promise<FolderPage>;
}

export function createArtifactFolders(plane: ControlPlane): ArtifactFolders {
  const { record, artifacts } = plane;

  /** What is shown at the path beside what was put there. */
  async function virtualAt(path: string): Promise<{ files: VirtualFiles; rest: string } | undefined> {
    const [first, sha256 = "", ...inside] = path.split("/");
    if (first === modelsFolder) {
      const files = await modelFiles(plane, sha256);
      return files === undefined ? undefined : { files, rest: inside.join("/") };
    }
    const place = await record.files.placeOf(path);
    if (place?.pipeline === undefined) return undefined;
    return { files: outputFiles(plane, place.id, place.pipeline), rest: path.slice(place.root.length + 1) };
  }

  return {
    async find(path) {
      const file = await record.files.get(path);
      if (file !== undefined) {
        const blob: ArtifactRef = { type: "file", digest: file.digest, size: file.size };
        const open = async (range?: { start: number; end: number }): Promise<ByteStream> =>
          (await artifacts.open(blob, undefined, range === undefined ? {} : { range })).body;
        return { path, size: file.size, sha256: file.digest.slice("sha256:".length), blob, open };
      }
      const virtual = await virtualAt(path);
      const found = await virtual?.files.find(virtual.rest);
      return found === undefined ? undefined : { ...found, path };
    },
    async list(folder, limit, after) {
      // The names that were put come first; the prefix of the token says how far a listing is.
      const token = after ?? "p";
      const put = token.startsWith("p")
        ? await record.files.list(folder, limit, token.length > 1 ? token.slice(1) : undefined)
        : { entries: [] };
      if (put.next !== undefined) return { entries: put.entries, next: `p${put.next}` };
      const room = limit - put.entries.length;
      const virtual = await virtualAt(folder);
      if (virtual === undefined) return put;
      if (room === 0) return { entries: put.entries, next: "v" };
      const shown = await virtual.files.list(virtual.rest, room, token.startsWith("v") ? token.slice(1) : undefined);
      const entries = [...put.entries];
      for (const entry of shown.entries)
        if (!(await isPut(folder, entry, token === "p" ? put.entries : undefined))) entries.push(entry);
      return shown.next === undefined ? { entries } : { entries, next: `v${shown.next}` };
    },
  };

  /** A name that was put too is told once. `known` are all that were put, where the page holds them all. */
  async function isPut(folder: string, { name }: FolderEntry, known?: readonly FolderEntry[]): Promise<boolean> {
    if (known !== undefined) return known.some((entry) => entry.name === name);
    const path = `${folder}/${name}`;
    if ((await record.files.get(path)) !== undefined) return true;
    return (await record.files.list(path, 1)).entries.length > 0;
  }
}
