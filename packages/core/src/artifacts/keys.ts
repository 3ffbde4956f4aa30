import type { Digest } from "../canonical-json.ts";

/**
 * Keys of an artifact store. Everything below `blobs/` hashes to its own name; `packs/` holds bodies of packs by the digest of their
 * index (which is itself a blob); `layouts/` says which packs a tree's small files lie in.
 */
const sharded = (folder: string, digest: Digest): string => `${folder}/${digest.slice(7, 9)}/${digest.slice(9)}`;

export const blobKey = (digest: Digest): string => sharded("blobs", digest);
export const packKey = (digest: Digest): string => sharded("packs", digest);
export const layoutKey = (digest: Digest): string => sharded("layouts", digest);

export const contentPrefixes = ["blobs/", "packs/", "layouts/"] as const;

/** What `gc` sweeps waits here, restorable. */
export const quarantinePrefix = "quarantine/";
export const quarantineKey = (key: string): string => `${quarantinePrefix}${key}`;

/** The digest in a key's name, whichever folder it is in. */
export function digestOfKey(key: string): Digest | undefined {
  const match = /^(?:blobs|packs|layouts)\/([0-9a-f]{2})\/([0-9a-f]{62})$/.exec(key);
  return match ? `sha256:${match[1]}${match[2]}` : undefined;
}

export const sha256ToDigest = (sha256: string): Digest => `sha256:${sha256}`;
