import { createHmac } from "node:crypto";
import type { CapturedField, ColumnType, ModelSignature } from "@espalier/core";

export interface RedactionOptions {
  /** Inputs and outputs whose values are never written; the column stays, empty. */
  drop?: readonly string[];
  /** Inputs and outputs of which a keyed hash is written: equal values stay equal, and none can be read. */
  hash?: readonly string[];
  /** Key of the hashes (HMAC-SHA256). Who has it can test guesses. */
  key?: Uint8Array;
}

type Cell = (value: unknown) => unknown;

/** One field as capture writes it: what the header says, and each cell of it. */
export interface WrittenField extends CapturedField {
  cell: Cell;
}

/** Half of the 256 bits: collisions stay out of reach, and lines short. */
const hashCharacters = 32;

export function isRedacted({ drop = [], hash = [] }: RedactionOptions): boolean {
  return drop.length + hash.length > 0;
}

/** Names that are to be redacted and that the model does not have, such as misspelt ones. */
export function unknownFields({ drop = [], hash = [] }: RedactionOptions, signature: ModelSignature): string[] {
  const known = new Set([...signature.inputs, ...signature.outputs].map(({ name }) => name));
  return [...drop, ...hash].filter((name) => !known.has(name));
}

export function writtenField(
  field: { name: string; type: ColumnType; shape?: readonly number[] | undefined },
  { drop = [], hash = [], key = new Uint8Array() }: RedactionOptions,
): WrittenField {
  const { name, type } = field;
  const shape = field.shape === undefined ? {} : { shape: [...field.shape] };
  if (drop.includes(name)) return { name, type, ...shape, redacted: "dropped", cell: () => null };
  if (!hash.includes(name)) return { name, type, ...shape, cell: jsonCell };
  return {
    name,
    type: "string",
    redacted: "hashed",
    cell: (value) => {
      const plain = jsonCell(value);
      // What is missing stays missing; hashed, it would be the commonest value.
      if (plain === null || (typeof plain === "number" && Number.isNaN(plain))) return null;
      const text = typeof plain === "string" ? plain : JSON.stringify(plain);
      return createHmac("sha256", key).update(text).digest("hex").slice(0, hashCharacters);
    },
  };
}

/** The parser's escape for digits that a JavaScript number would round (ES2026; in Node since 22). */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

/** A value that JSON can carry: 64-bit integers exactly, typed arrays as lists; NaN becomes null by itself. */
function jsonCell(value: unknown): unknown {
  if (typeof value === "bigint") return rawJson(String(value));
  if (typeof value !== "object" || value === null) return value ?? null;
  return Array.from(value as ArrayLike<unknown>, jsonCell);
}
