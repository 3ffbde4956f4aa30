import { type Digest, EspalierError, isDigest } from "@espalier/core";
import type { RecordDatabase, RecordTransaction } from "../database.ts";
import { type NewFile, putFile } from "./files.ts";

/** A file that comes in parts. */
export interface FileUpload {
  id: string;
  path: string;
  /** How many there will be, numbered from 1. */
  parts: number;
  createdBy: string;
  completed: boolean;
}

export interface UploadedPart {
  number: number;
  digest: Digest;
  size: number;
}

export interface FileUploadQueries {
  create(upload: Omit<FileUpload, "completed">): Promise<void>;
  get(id: string): Promise<FileUpload | undefined>;
  /** Replaces a part that came before. NOT_FOUND: no such upload; CONFLICT: it is complete. */
  putPart(id: string, part: UploadedPart): Promise<void>;
  /** In order. */
  parts(id: string): Promise<UploadedPart[]>;
  /** The file is there and the parts are gone, at once. An upload that is complete already changes nothing. */
  complete(id: string, file: NewFile): Promise<void>;
  /** Forgets an upload that is not complete, and its parts. */
  abort(id: string): Promise<void>;
  /** Forgets what began before (ms since the epoch). How many there were. */
  forget(before: number): Promise<number>;
}

export const mostParts = 10_000;

export function createFileUploadQueries(database: RecordDatabase): FileUploadQueries {
  const { kysely, projectId } = database;

  async function find(from: typeof kysely | RecordTransaction, id: string): Promise<FileUpload | undefined> {
    const row = await from
      .selectFrom("file_uploads")
      .select(["upload_id", "path", "parts", "created_by", "completed_at"])
      .where("project_id", "=", projectId)
      .where("upload_id", "=", id)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { upload_id, path, parts, created_by, completed_at } = row;
    return { id: upload_id, path, parts, createdBy: created_by, completed: completed_at !== null };
  }

  async function dropParts(transaction: RecordTransaction, id: string): Promise<void> {
    await transaction
      .deleteFrom("file_upload_parts")
      .where("project_id", "=", projectId)
      .where("upload_id", "=", id)
      .execute();
  }

  async function drop(transaction: RecordTransaction, id: string): Promise<void> {
    await dropParts(transaction, id);
    await transaction
      .deleteFrom("file_uploads")
      .where("project_id", "=", projectId)
      .where("upload_id", "=", id)
      .execute();
  }

  return {
    create: async ({ id, path, parts, createdBy }) => {
      await kysely
        .insertInto("file_uploads")
        .values({
          project_id: projectId,
          upload_id: id,
          path,
          parts,
          created_by: createdBy,
          created_at: database.now,
          completed_at: null,
        })
        .execute();
    },
    get: (id) => find(kysely, id),
    putPart: (id, { number, digest, size }) =>
      database.transaction(async (transaction) => {
        const upload = await find(transaction, id);
        if (upload === undefined) throw unknownUpload(id);
        if (upload.completed) throw new EspalierError("CONFLICT", `The upload ${id} is complete`);
        await transaction
          .insertInto("file_upload_parts")
          .values({ project_id: projectId, upload_id: id, number, digest, size })
          .onConflict((conflict) =>
            conflict.columns(["project_id", "upload_id", "number"]).doUpdateSet({ digest, size }),
          )
          .execute();
      }),
    parts: async (id) => {
      const rows = await kysely
        .selectFrom("file_upload_parts")
        .select(["number", "digest", "size"])
        .where("project_id", "=", projectId)
        .where("upload_id", "=", id)
        .orderBy("number")
        .limit(mostParts)
        .execute();
      return rows.map(({ number, digest, size }) => {
        if (!isDigest(digest)) throw new EspalierError("CORRUPTED", `The record has no digest of part ${number}`);
        return { number, digest, size };
      });
    },
    complete: (id, file) =>
      database.transaction(async (transaction) => {
        const { numUpdatedRows } = await transaction
          .updateTable("file_uploads")
          .set({ completed_at: database.now })
          .where("project_id", "=", projectId)
          .where("upload_id", "=", id)
          .where("completed_at", "is", null)
          .executeTakeFirstOrThrow();
        if (numUpdatedRows === 0n) {
          if ((await find(transaction, id)) === undefined) throw unknownUpload(id);
          return;
        }
        await putFile(database, transaction, file);
        await dropParts(transaction, id);
      }),
    abort: (id) =>
      database.transaction(async (transaction) => {
        const upload = await find(transaction, id);
        if (upload?.completed === false) await drop(transaction, id);
      }),
    forget: async (before) => {
      for (let forgotten = 0; ; ) {
        const old = await kysely
          .selectFrom("file_uploads")
          .select("upload_id")
          .where("project_id", "=", projectId)
          .where("created_at", "<", before)
          .limit(100)
          .execute();
        if (old.length === 0) return forgotten;
        for (const { upload_id } of old) await database.transaction((transaction) => drop(transaction, upload_id));
        forgotten += old.length;
      }
    },
  };
}

export function unknownUpload(id: string): EspalierError {
  return new EspalierError("NOT_FOUND", `There is no upload ${JSON.stringify(id.slice(0, 100))}`, {
    hint: "It was aborted, or is older than a day: start again.",
  });
}
