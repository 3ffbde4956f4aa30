import { writeFile } from "node:fs/promises";
import { canonicalJson } from "@espalier/core";

/** The size that a `value` output may have, with some room. */
const limitBytes = 60 * 1024;

/** Writes a `value` output as canonical JSON, so that equal documents have equal digests. */
export async function writeValue(path: string | undefined, document: unknown): Promise<void> {
  if (path !== undefined) await writeFile(path, canonicalJson(document));
}

/** The first candidate that fits into a `value` output; candidates come from the richest to the barest. */
export function fitting<Document>(candidates: Iterable<Document>): Document {
  let last: Document | undefined;
  for (const candidate of candidates) {
    last = candidate;
    if (Buffer.byteLength(canonicalJson(candidate)) <= limitBytes) return candidate;
  }
  if (last === undefined) throw new TypeError("fitting() needs at least one candidate");
  return last;
}
