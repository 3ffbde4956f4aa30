import { EspalierError, isEspalierError } from "@espalier/core";

/** SQLite's primary result codes that a user can do something about. */
const busy = 5;
const locked = 6;
const readOnly = 8;
const inputOutput = 10;
const corrupt = 11;
const full = 13;
const canNotOpen = 14;
const constraint = 19;
const notADatabase = 26;

export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === busy || code === locked;
}

/** Extended codes carry the primary one in their low byte. */
function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}

/** A failure of node:sqlite as an EspalierError; what is unknown passes unchanged and becomes INTERNAL at the edge. */
export function fromSqliteError(error: unknown, path: string): unknown {
  if (isEspalierError(error) || !(error instanceof Error)) return error;
  const options = { cause: error, at: path };
  switch (primaryCode(error)) {
    case busy:
    case locked:
      return new EspalierError("UNAVAILABLE", "The record is locked by another program", {
        ...options,
        hint: "Close what else has the database open (an SQLite shell, a backup), then try again.",
      });
    case readOnly:
    case canNotOpen:
      return new EspalierError("PERMISSION_DENIED", `The record can not be opened for writing: ${error.message}`, {
        ...options,
        hint: "Make the file and its folder writable for this user.",
      });
    case full:
      return new EspalierError("DISK_FULL", "The disk is full: the record can not grow", {
        ...options,
        hint: "Free some space (`espalier gc` previews what can go), then `espalier resume`.",
      });
    case inputOutput:
      return new EspalierError("UNAVAILABLE", `Reading or writing the record failed: ${error.message}`, {
        ...options,
        hint: "Look at the disk's health and free space, then try again.",
      });
    case corrupt:
    case notADatabase:
      return new EspalierError("CORRUPTED", `The record is damaged: ${error.message}`, {
        ...options,
        hint: "Restore it from a backup; `sqlite3 <file> .recover` saves what can still be read.",
      });
    case constraint:
      return new EspalierError("CONFLICT", `The record refused a row: ${error.message}`, options);
    default:
      return error;
  }
}
