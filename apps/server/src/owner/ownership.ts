import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { EspalierError } from "@espalier/core";
import { type OwnerFile, readOwnerFile, removeOwnerFile, writeOwnerFile } from "./owner-file.ts";
import { tryOwnerLock } from "./owner-lock.ts";

/** This process drives the project. */
export interface Owned {
  owned: true;
  /** The local token that clients on this machine read from `owner.json`; it is of role admin. */
  token: string;
  /** Tells the others where the control plane answers. Call it once it listens. */
  publish(url: string): Promise<void>;
  /** From here on others wait for the lock instead of calling a process that is about to end. Idempotent. */
  withdraw(): Promise<void>;
  /** Withdraws the address, then gives the lock back. Idempotent. */
  release(): Promise<void>;
}

/** Another process does. */
export type NotOwned = { owned: false } & Pick<OwnerFile, "url" | "token" | "pid">;

export interface OwnershipOptions {
  /** How long an owner may take from its lock to its address. Default 30. */
  timeoutSeconds?: number;
  signal?: AbortSignal;
}

const pollMilliseconds = 20;

/**
 * Of all processes that ask at once exactly one owns the project; the others get its address, waiting while it starts. When the owner
 * dies before it has published, one of those who wait becomes the owner. Errors: UNAVAILABLE (it never published), PERMISSION_DENIED.
 */
export async function acquireOwnership(stateFolder: string, options: OwnershipOptions = {}): Promise<Owned | NotOwned> {
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  const { timeoutSeconds = 30, signal } = options;
  for (let waited = 0; ; waited += pollMilliseconds) {
    signal?.throwIfAborted();
    const owned = await tryToOwn(stateFolder);
    if (owned !== undefined) return owned;
    const owner = await readOwnerFile(stateFolder);
    if (owner !== undefined) return { owned: false, url: owner.url, token: owner.token, pid: owner.pid };
    if (waited >= timeoutSeconds * 1000) {
      throw new EspalierError(
        "UNAVAILABLE",
        `Another process owns this project and has not answered for ${timeoutSeconds} s`,
        {
          at: join(stateFolder, "owner.lock"),
          hint: "See who holds the file (`fuser -v` tells), end that process, then try again.",
        },
      );
    }
    // The kernel tells nobody when it drops a dead owner's lock: looking again is all there is.
    await delay(pollMilliseconds, undefined, signal === undefined ? {} : { signal });
  }
}

/** The owner's address without becoming the owner; undefined when nobody owns the project. */
export async function findOwner(stateFolder: string): Promise<NotOwned | undefined> {
  const owner = await readOwnerFile(stateFolder);
  return owner === undefined ? undefined : { owned: false, url: owner.url, token: owner.token, pid: owner.pid };
}

async function tryToOwn(stateFolder: string): Promise<Owned | undefined> {
  const lock = tryOwnerLock(join(stateFolder, "owner.lock"));
  if (lock === undefined) return undefined;
  // First of all: the address of a killed owner must not be taken for ours.
  await removeOwnerFile(stateFolder);
  const token = `esp_${randomBytes(32).toString("base64url")}`;
  let released = false;
  return {
    owned: true,
    token,
    publish: (url) => writeOwnerFile(stateFolder, { url, token, pid: process.pid }),
    withdraw: async () => {
      if (!released) await removeOwnerFile(stateFolder);
    },
    release: async () => {
      if (released) return;
      released = true;
      try {
        await removeOwnerFile(stateFolder);
      } finally {
        lock.release();
      }
    },
  };
}
