import { createReadStream, createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { isThere, readRange } from "./attempt-folder.ts";

/** Shorter values would blank out half of every log and protect nothing. */
const shortestSecret = 4;

/** Replaces secrets by as many asterisks as they have bytes, so that offsets into a log stay true. */
export function maskBytes(bytes: Buffer, secrets: readonly Buffer[]): Buffer {
  let masked = bytes;
  for (const secret of secrets) {
    for (let at = masked.indexOf(secret); at >= 0; at = masked.indexOf(secret, at + secret.length)) {
      if (masked === bytes) masked = Buffer.from(bytes);
      masked.fill(0x2a, at, at + secret.length);
    }
  }
  return masked;
}

/** Each line of a secret too: a key file is often printed line by line. */
export function secretBytes(values: readonly string[]): Buffer[] {
  const pieces = values.flatMap((value) => [value, ...value.split("\n").map((line) => line.trim())]);
  // In event files they are JSON, of which Python writes letters beyond ASCII as escapes.
  const escaped = pieces.flatMap((piece) => {
    const json = JSON.stringify(piece).slice(1, -1);
    return [json, json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)];
  });
  const long = [...new Set([...pieces, ...escaped])].filter((piece) => piece.length >= shortestSecret);
  return long.map((piece) => Buffer.from(piece)).sort((a, b) => b.length - a.length);
}

/** Copies a log with secrets masked, also where one lies across two chunks. */
export async function maskFile(from: string, to: string, secrets: readonly Buffer[]): Promise<void> {
  const longest = secrets[0]?.length ?? 0;
  async function* masked(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let held: Buffer = Buffer.alloc(0);
    for await (const chunk of chunks) {
      const both = maskBytes(Buffer.concat([held, chunk]), secrets);
      const ready = Math.max(0, both.length - longest);
      yield both.subarray(0, ready);
      held = both.subarray(ready);
    }
    yield maskBytes(held, secrets);
  }
  await pipeline(createReadStream(from), masked, createWriteStream(to, { mode: 0o600 }));
}

/** Most logs tell nothing, and need not be copied to be masked. */
export async function holdsSecret(path: string, secrets: readonly Buffer[]): Promise<boolean> {
  const overlap = (secrets[0]?.length ?? 1) - 1;
  let before: Buffer = Buffer.alloc(0);
  if (secrets.length === 0) return false;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    const both = before.length === 0 ? chunk : Buffer.concat([before, chunk]);
    if (secrets.some((secret) => both.includes(secret))) return true;
    before = both.subarray(Math.max(0, both.length - overlap));
  }
  return false;
}

/** Nothing is left beside the masked file; a file that is not there is left alone. */
export async function maskInPlace(paths: readonly string[], secrets: readonly Buffer[]): Promise<void> {
  for (const path of paths) {
    if (!(await isThere(path)) || !(await holdsSecret(path, secrets))) continue;
    await maskFile(path, `${path}.masked`, secrets);
    await rename(`${path}.masked`, path);
  }
}

/** Masked bytes of a log that still grows. What could be the beginning of a secret is left for the next call unless `ended`. */
export async function readMasked(
  path: string,
  offset: number,
  length: number,
  secrets: readonly Buffer[],
  ended: boolean,
): Promise<{ bytes: Uint8Array; next: number }> {
  const overlap = (secrets[0]?.length ?? 1) - 1;
  const start = Math.max(0, offset - overlap);
  const raw = Buffer.from(await readRange(path, start, offset - start + length));
  const masked = maskBytes(raw, secrets);
  let end = masked.length;
  if (!ended) {
    for (const secret of secrets) {
      for (let size = Math.min(secret.length - 1, raw.length); size > 0; size -= 1) {
        if (raw.subarray(raw.length - size).equals(secret.subarray(0, size))) {
          end = Math.min(end, raw.length - size);
          break;
        }
      }
    }
  }
  const skip = offset - start;
  return end <= skip
    ? { bytes: new Uint8Array(), next: offset }
    : { bytes: masked.subarray(skip, end), next: start + end };
}
