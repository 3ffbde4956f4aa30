import { DatabaseSync } from "node:sqlite";
import { EspalierError } from "@espalier/core";
import { isBusy } from "../db/dialect/sqlite-errors.ts";

/** Held until released or until the process ends, however it ends. */
export interface OwnerLock {
  release(): void;
}

/**
 * Takes the lock, or answers undefined when somebody has it. It is an exclusive transaction on a tiny SQLite database, that is, a POSIX
 * record lock: the kernel drops it when the process dies, kill -9 included, a stale file blocks nobody, and child processes (steps that
 * outlive us) do not inherit it, as they would with flock.
 */
export function tryOwnerLock(path: string): OwnerLock | undefined {
  const database = openDatabase(path);
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw unusable(path, error);
  }
  held.add(database);
  return {
    release: () => {
      held.delete(database);
      if (database.isOpen) database.close();
    },
  };
}

/** A connection that nobody refers to is closed by the garbage collector, and its lock with it. */
const held = new Set<DatabaseSync>();

function openDatabase(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 });
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, cause: unknown): EspalierError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EspalierError("PERMISSION_DENIED", `The project can not be locked: ${reason}`, {
    cause,
    at: path,
    hint: "Make the folder writable for this user; it must lie on a local file system (network ones do not lock well). The file itself holds nothing and may be deleted.",
  });
}
