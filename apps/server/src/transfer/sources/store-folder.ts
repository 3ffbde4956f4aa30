import { createReadStream } from "node:fs";
import { lstat, readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { EspalierError, type TrackedFile } from "@espalier/core";
import { readYamlDocument } from "@espalier/host";

const mostMetaBytes = 32 * 1024 * 1024;

/** A folder of somebody else's that is only read, and never left: a link that leads out of it is not followed, and told. */
export interface StoreFolder {
  readonly path: string;
  /** Names in order; [] where there is no such folder. */
  folders(path: string): Promise<string[]>;
  /** Paths below a folder, in order. */
  files(path: string): AsyncGenerator<{ path: string; size: number }>;
  /** undefined: there is no such file. INVALID_DATA: it is no mapping of YAML. */
  yaml(path: string): Promise<Readonly<Record<string, unknown>> | undefined>;
  text(path: string): Promise<string>;
  lines(path: string): AsyncGenerator<string>;
  /** The files below a folder, as they are carried. */
  tracked(path: string): AsyncGenerator<TrackedFile>;
  readonly refused: readonly string[];
}

/** INVALID_INPUT: there is no such folder. */
export async function openStoreFolder(directory: string): Promise<StoreFolder> {
  const root = await realpath(directory).catch((cause: unknown) => {
    throw new EspalierError("INVALID_INPUT", `There is no folder ${directory}`, { cause });
  });
  if (!(await stat(root)).isDirectory()) throw new EspalierError("INVALID_INPUT", `${directory} is no folder`);
  const refused: string[] = [];
  const absolute = (path: string): string => {
    const whole = join(root, path);
    if (whole === root || whole.startsWith(root + sep)) return whole;
    // A description may name anything as an id.
    throw new EspalierError("INVALID_DATA", `${JSON.stringify(path)} leads out of ${root}`);
  };

  /** What a name stands for; undefined for a link that leads out, or nowhere. */
  async function kindOf(path: string): Promise<{ isFolder: boolean; size: number } | undefined> {
    const found = await lstat(absolute(path));
    if (!found.isSymbolicLink()) return found.isFile() || found.isDirectory() ? entry(found) : undefined;
    const target = await realpath(absolute(path)).catch(() => undefined);
    if (target?.startsWith(root + sep)) return entry(await stat(target));
    if (refused.length < 100 && !refused.includes(path)) refused.push(path);
    return undefined;
  }

  async function names(path: string): Promise<string[]> {
    try {
      return (await readdir(absolute(path))).sort();
    } catch (error) {
      if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return [];
      throw error;
    }
  }

  async function* files(path: string, within = ""): AsyncGenerator<{ path: string; size: number }> {
    for (const name of await names(within === "" ? path : `${path}/${within}`)) {
      const below = within === "" ? name : `${within}/${name}`;
      const kind = await kindOf(`${path}/${below}`);
      if (kind === undefined) continue;
      if (kind.isFolder) yield* files(path, below);
      else yield { path: below, size: kind.size };
    }
  }

  return {
    path: root,
    refused,
    folders: async (path) => {
      const found: string[] = [];
      for (const name of await names(path)) {
        if ((await kindOf(path === "" ? name : `${path}/${name}`))?.isFolder) found.push(name);
      }
      return found;
    },
    files,
    yaml: async (path) => {
      const size = await stat(absolute(path)).then(
        (found) => found.size,
        () => undefined,
      );
      if (size === undefined || (await kindOf(path))?.isFolder !== false) return undefined;
      if (size > mostMetaBytes)
        throw new EspalierError("INVALID_DATA", `${absolute(path)} is larger than a description may be`);
      const { value, faults } = readYamlDocument(await readFile(absolute(path), "utf8"), absolute(path));
      if (faults.length === 0 && typeof value === "object" && value !== null && !Array.isArray(value)) {
        return value as Record<string, unknown>;
      }
      throw new EspalierError(
        "INVALID_DATA",
        `${absolute(path)} is damaged: ${faults[0]?.message ?? "it is no mapping"}`,
        {
          at: absolute(path),
          hint: "The folder was half written, or copied while it was written. Copy it again, or remove what is broken.",
        },
      );
    },
    text: (path) => readFile(absolute(path), "utf8"),
    async *lines(path) {
      let rest = "";
      for await (const chunk of createReadStream(absolute(path), { encoding: "utf8" })) {
        const parts = (rest + chunk).split("\n");
        rest = parts.pop() ?? "";
        yield* parts;
      }
      if (rest !== "") yield rest;
    },
    async *tracked(path) {
      for await (const file of files(path)) {
        yield {
          ...file,
          open: async () => createReadStream(absolute(`${path}/${file.path}`), { highWaterMark: 262_144 }),
        };
      }
    },
  };
}

const entry = (found: { isDirectory(): boolean; size: number }): { isFolder: boolean; size: number } => ({
  isFolder: found.isDirectory(),
  size: found.size,
});
