import { createHash } from "node:crypto";
import { type ArtifactStore, type ByteStream, EspalierError } from "@espalier/core";

/**
 * Puts an upload under a content-addressed key. It is hashed on the way and never held; bytes with another checksum leave nothing behind.
 * `checksum` is the hexadecimal SHA-256.
 */
export async function takeUpload(
  store: ArtifactStore,
  key: string,
  checksum: string,
  body: ByteStream,
  size: number | undefined,
): Promise<void> {
  if (size === undefined) {
    throw new EspalierError("INVALID_INPUT", "The upload must say its length", { at: "headers.content-length" });
  }
  await store.put(key, verifiedUpload(body, checksum), { size, ifAbsent: true });
}

async function* verifiedUpload(body: ByteStream, checksum: string): ByteStream {
  const hash = createHash("sha256");
  let last: Uint8Array | undefined;
  for await (const chunk of body) {
    // The last chunk is held back until the digest is known: a wrong one must not complete the object.
    if (last !== undefined) yield last;
    hash.update(chunk);
    last = chunk;
  }
  if (hash.digest("hex") !== checksum) {
    throw new EspalierError("CORRUPTED", "The uploaded bytes do not have the checksum that was signed", {
      hint: "Send the file again.",
    });
  }
  if (last !== undefined) yield last;
}
