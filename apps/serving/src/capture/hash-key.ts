import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";

const keyBytes = 32;

/**
 * The key of hashed fields: what the file holds, else a key that is made once beside the segments, so that all versions and replicas of an
 * endpoint hash alike. Errors: NOT_FOUND, INVALID_CONFIG.
 */
export function hashKey(file: string | undefined, directory: string | undefined): Uint8Array {
  if (file !== undefined) return readKey(file);
  if (directory === undefined) {
    throw new EspalierError("INVALID_CONFIG", "Fields can not be hashed without a key", {
      hint: "Give --capture-hash-key FILE, a file of random bytes that stays the same for all servers.",
    });
  }
  mkdirSync(directory, { recursive: true });
  const path = join(directory, ".hash-key");
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, randomBytes(keyBytes), { mode: 0o600 });
  try {
    // Whoever comes first decides; a link never replaces and is never half there.
    linkSync(temporary, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  return readKey(path);
}

function readKey(path: string): Uint8Array {
  let key: Uint8Array;
  try {
    key = readFileSync(path);
  } catch (cause) {
    throw new EspalierError("NOT_FOUND", `The key of hashed fields can not be read: ${(cause as Error).message}`, {
      at: path,
      cause,
    });
  }
  if (key.length >= 16) return key;
  throw new EspalierError(
    "INVALID_CONFIG",
    `The key of hashed fields has ${key.length} bytes, too few to keep them secret`,
    {
      at: path,
      hint: `head -c ${keyBytes} /dev/urandom > FILE makes one.`,
    },
  );
}
