import { z } from "zod";
import { EspalierError, isEspalierError } from "../errors.ts";
import type { ArtifactStore } from "../ports/artifact-store.ts";
import { collect, streamOf } from "./streams.ts";

/** Names the metadata database whose runs, datasets and models say what of a store is still needed. */
export const storeOwnerKey = "espalier-store.json";

const ownerSchema = z.object({ version: z.literal(1), database: z.string().min(1) });
const largestOwnerBytes = 64 * 1024;

/** The id of the database that a store belongs to; undefined for a store that nobody has claimed. */
export async function readStoreOwner(store: ArtifactStore): Promise<string | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await collect(await store.get(storeOwnerKey), largestOwnerBytes, storeOwnerKey);
  } catch (error) {
    if (isEspalierError(error) && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
  try {
    return ownerSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8"))).database;
  } catch (error) {
    throw new EspalierError("CORRUPTED", `${storeOwnerKey} of the store can not be read`, {
      cause: error,
      at: storeOwnerKey,
      hint: 'Write {"version":1,"database":"<id of your metadata database>"} into it, if the store is yours alone.',
    });
  }
}

/** Idempotent; the first database to claim a store owns it. Returns the owner, which may be another: sharing to read and publish is fine. */
export async function claimStore(store: ArtifactStore, database: string): Promise<string> {
  const owner = await readStoreOwner(store);
  if (owner !== undefined) return owner;
  const bytes = Buffer.from(`${JSON.stringify({ version: 1, database })}\n`);
  await store.put(storeOwnerKey, streamOf(bytes), { size: bytes.byteLength, ifAbsent: true });
  return (await readStoreOwner(store)) ?? database;
}

/** What another database still needs is not known here, so nothing may be removed. */
export async function requireStoreOwner(store: ArtifactStore, database: string): Promise<void> {
  const owner = await readStoreOwner(store);
  if (owner === database) return;
  const belongs = owner === undefined ? "no metadata database yet" : `the metadata database ${owner}`;
  throw new EspalierError("CONFLICT", `The artifact store belongs to ${belongs}, not to this project's ${database}`, {
    at: storeOwnerKey,
    details: { owner: owner ?? null, database },
    hint: "Collect garbage from the project that owns the store.",
  });
}
