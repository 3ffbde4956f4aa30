import { type Digest, EspalierError, isDigest, type TreeEntry } from "@espalier/core";
import type { RecordDatabase, RecordTransaction } from "../database.ts";
import { noteTracking } from "../mirror-changes.ts";
import { type FilePlace, findPlace, requirePlace } from "./file-places.ts";

/** A file that an MLflow client logged. `path` is canonical, as `mlflow/artifacts/paths.ts` makes it; `size` in bytes. */
export interface TrackedFile {
  path: string;
  digest: Digest;
  size: number;
}

export interface NewFile extends TrackedFile {
  createdBy: string;
}

export interface FolderEntry {
  /** One segment, below the folder that was listed. */
  name: string;
  isFolder: boolean;
  /** Bytes; absent for a folder. */
  size?: number;
}

export interface FolderPage {
  /** In order of path. */
  entries: FolderEntry[];
  /** Goes back in as `after`; absent on the last page. */
  next?: string;
}

export interface FileQueries {
  get(path: string): Promise<TrackedFile | undefined>;
  /**
   * Replaces what the path held. NOT_FOUND, INVALID_INPUT: the path lies in no folder of a run, logged model or trace that is on record and
   * not deleted; CONFLICT: the path is a folder, or leads through a file.
   */
  put(file: NewFile): Promise<void>;
  /** Errors of `put`, before any byte has come. */
  check(path: string): Promise<FilePlace>;
  /** What a file or folder belongs to; undefined for what lies in no such folder. */
  placeOf(path: string): Promise<FilePlace | undefined>;
  /** The file, or everything below the folder. How many there were. */
  remove(path: string): Promise<number>;
  /** One level of a folder; "" is the root. At most `limit` entries, and in that order. An absent folder is empty. */
  list(folder: string, limit: number, after?: string): Promise<FolderPage>;
  /**
   * Every file below a folder, with paths relative to it: what `Artifacts.adoptTree` takes. NOT_FOUND when there is none; TOO_LARGE
   * beyond 100,000.
   */
  below(folder: string): Promise<TreeEntry[]>;
}

const rowsAtOnce = 1000;
const mostFilesOfATree = 100_000;

/** Paths of one folder's files; `0` follows `/` in the order of bytes. */
interface Range {
  lower: { path: string; inclusive: boolean };
  /** Exclusive; undefined: to the end. */
  upper: string | undefined;
}

export function createFileQueries(database: RecordDatabase): FileQueries {
  const { kysely, projectId } = database;

  async function rows({ lower, upper }: Range): Promise<TrackedFile[]> {
    let query = kysely
      .selectFrom("tracked_files")
      .select(["path", "digest", "size"])
      .where("project_id", "=", projectId)
      .where("path", lower.inclusive ? ">=" : ">", lower.path)
      .orderBy("path")
      .limit(rowsAtOnce);
    if (upper !== undefined) query = query.where("path", "<", upper);
    return (await query.execute()).map(fileOf);
  }

  return {
    get: async (path) => {
      const row = await kysely
        .selectFrom("tracked_files")
        .select(["path", "digest", "size"])
        .where("project_id", "=", projectId)
        .where("path", "=", path)
        .executeTakeFirst();
      return row === undefined ? undefined : fileOf(row);
    },
    put: (file) => database.transaction((transaction) => putFile(database, transaction, file)),
    placeOf: (path) => findPlace(kysely, projectId, path),
    check: async (path) => {
      const place = await requirePlace(kysely, projectId, path);
      await requireRoom(kysely, projectId, path);
      return place;
    },
    remove: async (path) => {
      const forget = async (paths: string[]): Promise<number> => {
        const { numDeletedRows } = await kysely
          .deleteFrom("tracked_files")
          .where("project_id", "=", projectId)
          .where("path", "in", paths)
          .executeTakeFirstOrThrow();
        return Number(numDeletedRows);
      };
      let removed = await forget([path]);
      // In portions, so that a folder of a million files does not hold up everybody else.
      for (;;) {
        const portion = await rows(insideOf(path));
        if (portion.length > 0) removed += await forget(portion.map((file) => file.path));
        if (portion.length < rowsAtOnce) return removed;
      }
    },
    list: async (folder, limit, after) => {
      const range = insideOf(folder);
      const start = folder === "" ? 0 : folder.length + 1;
      const prefix = folder === "" ? "" : `${folder}/`;
      if (after !== undefined) range.lower = beyond(prefix, after);
      const entries: FolderEntry[] = [];
      for (;;) {
        const portion = await rows(range);
        let told: string | undefined;
        for (const { path, size } of portion) {
          if (told !== undefined && path.startsWith(told)) continue;
          const last = entries[limit - 1];
          if (last !== undefined) return { entries, next: last.isFolder ? `${last.name}/` : last.name };
          const slash = path.indexOf("/", start);
          told = slash === -1 ? undefined : path.slice(0, slash + 1);
          if (slash === -1) entries.push({ name: path.slice(start), isFolder: false, size });
          else entries.push({ name: path.slice(start, slash), isFolder: true });
          range.lower = beyond(prefix, slash === -1 ? path.slice(start) : path.slice(start, slash + 1));
        }
        if (portion.length < rowsAtOnce) return { entries };
      }
    },
    below: async (folder) => {
      const range = insideOf(folder);
      const start = folder === "" ? 0 : folder.length + 1;
      const entries: TreeEntry[] = [];
      for (;;) {
        const portion = await rows(range);
        for (const { path, digest, size } of portion) {
          entries.push({ path: path.slice(start), size, sha256: digest.slice("sha256:".length), executable: false });
        }
        if (entries.length > mostFilesOfATree) {
          throw new EspalierError("TOO_LARGE", `${folder} holds more than ${mostFilesOfATree} files`);
        }
        const last = portion.at(-1);
        if (last === undefined || portion.length < rowsAtOnce) break;
        range.lower = { path: last.path, inclusive: false };
      }
      if (entries.length === 0) throw new EspalierError("NOT_FOUND", `There are no files below ${folder}`);
      return entries;
    },
  };
}

/** In a transaction of the caller's: `FileQueries.put` by itself. */
export async function putFile(
  database: RecordDatabase,
  transaction: RecordTransaction,
  { path, digest, size, createdBy }: NewFile,
): Promise<void> {
  const { projectId, now } = database;
  const { kind, id, root } = await requirePlace(transaction, projectId, path);
  await requireRoom(transaction, projectId, path);
  await transaction
    .insertInto("tracked_files")
    .values({ project_id: projectId, path, digest, size, created_by: createdBy, created_at: now })
    .onConflict((conflict) =>
      conflict.columns(["project_id", "path"]).doUpdateSet((columns) => ({
        digest: columns.ref("excluded.digest"),
        size: columns.ref("excluded.size"),
        created_by: columns.ref("excluded.created_by"),
        created_at: columns.ref("excluded.created_at"),
      })),
    )
    .execute();
  if (kind === "trace") return;
  const below = path.slice(root.length + 1);
  await noteTracking(database, transaction, { kind: "file", subject: id, owner: kind, path: below });
}

/** In a transaction of the caller's: forgets everything below some hundred folders. The content goes with the next `gc`. */
export async function removeFolders(
  { projectId }: RecordDatabase,
  transaction: RecordTransaction,
  folders: readonly string[],
): Promise<void> {
  if (folders.length === 0) return;
  await transaction
    .deleteFrom("tracked_files")
    .where("project_id", "=", projectId)
    .where((where) =>
      where.or(folders.map((path) => where.and([where("path", ">", `${path}/`), where("path", "<", `${path}0`)]))),
    )
    .execute();
}

/** A path is a file or a folder, never both: it would not go onto a disk. */
async function requireRoom(
  from: RecordTransaction | RecordDatabase["kysely"],
  projectId: string,
  path: string,
): Promise<void> {
  const through = foldersAbove(path);
  const file =
    through.length === 0
      ? undefined
      : await from
          .selectFrom("tracked_files")
          .select("path")
          .where("project_id", "=", projectId)
          .where("path", "in", through)
          .limit(1)
          .executeTakeFirst();
  if (file !== undefined) throw new EspalierError("CONFLICT", `${file.path} is a file: nothing can lie below it`);
  const inside = await from
    .selectFrom("tracked_files")
    .select("path")
    .where("project_id", "=", projectId)
    .where("path", ">", `${path}/`)
    .where("path", "<", `${path}0`)
    .limit(1)
    .executeTakeFirst();
  if (inside !== undefined) throw new EspalierError("CONFLICT", `${path} is a folder: a file can not take its place`);
}

function insideOf(folder: string): Range {
  if (folder === "") return { lower: { path: "", inclusive: false }, upper: undefined };
  return { lower: { path: `${folder}/`, inclusive: false }, upper: `${folder}0` };
}

/** What follows a file, or a folder (its name with a slash) and all in it. */
function beyond(prefix: string, name: string): Range["lower"] {
  if (!name.endsWith("/")) return { path: `${prefix}${name}`, inclusive: false };
  return { path: `${prefix}${name.slice(0, -1)}0`, inclusive: true };
}

function foldersAbove(path: string): string[] {
  const segments = path.split("/");
  return segments.slice(1).map((_segment, index) => segments.slice(0, index + 1).join("/"));
}

function fileOf(row: { path: string; digest: string; size: number }): TrackedFile {
  if (!isDigest(row.digest)) throw new EspalierError("CORRUPTED", `The record has no digest for ${row.path}`);
  return { path: row.path, digest: row.digest, size: row.size };
}
