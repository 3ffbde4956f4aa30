import { createHash } from "node:crypto";
import type { Digest } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { ByteStream } from "../ports/artifact-store.ts";

/** SHA-256 of a stream as it passes. */
export async function digestOfStream(body: ByteStream): Promise<{ digest: Digest; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of body) {
    hash.update(chunk);
    size += chunk.byteLength;
  }
  return { digest: `sha256:${hash.digest("hex")}`, size };
}

export async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/**
 * Hands the bytes on and checks them; the last chunk is held back until the digest is known to be right, so that nobody can take
 * damaged content for complete.
 */
export async function* verified(
  body: ByteStream,
  expected: { digest: Digest; size?: number },
  mismatch: (found: string) => EspalierError,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let size = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of body) {
    hash.update(chunk);
    size += chunk.byteLength;
    if (expected.size !== undefined && size > expected.size) throw mismatch(`more than ${expected.size} bytes`);
    if (held) yield held;
    held = chunk;
  }
  if (expected.size !== undefined && size !== expected.size)
    throw mismatch(`${size} bytes instead of ${expected.size}`);
  const digest = `sha256:${hash.digest("hex")}`;
  if (digest !== expected.digest) throw mismatch(digest);
  if (held) yield held;
}

/** Collects at most `maxBytes`; TOO_LARGE beyond. */
export async function collect(body: ByteStream, maxBytes: number, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new EspalierError("TOO_LARGE", `${what} is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] ?? new Uint8Array()) : Buffer.concat(chunks);
}

/** Runs `work` on every item, at most `limit` at once; the first error stops what has not begun, and waits for what has. */
export async function eachConcurrently<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for await (const item of items) {
    if (failures.length > 0) break;
    const promise: Promise<void> = work(item)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => running.delete(promise));
    running.add(promise);
    if (running.size >= limit) await Promise.race(running);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
