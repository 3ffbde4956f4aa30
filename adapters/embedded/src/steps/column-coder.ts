import type { CodedColumn } from "@espalier/core";

const missing = "(missing)";
const other = "(other)";

/** Turns texts into small numbers, in order of first sight; beyond `limit` values the rest become one. */
export class ColumnCoder {
  readonly #column: string;
  readonly #codes: Int32Array;
  readonly #limit: number;
  readonly #byValue = new Map<string, number>();

  constructor(column: string, rows: number, limit = Number.POSITIVE_INFINITY) {
    this.#column = column;
    this.#codes = new Int32Array(rows);
    this.#limit = limit;
  }

  add(values: readonly unknown[], offset: number): void {
    for (const [index, value] of values.entries()) this.#codes[offset + index] = this.#code(value);
  }

  finish(): CodedColumn {
    return { column: this.#column, values: [...this.#byValue.keys()], codes: this.#codes };
  }

  #code(value: unknown): number {
    const text = value === null || value === undefined ? missing : String(value);
    const known = this.#byValue.get(text);
    if (known !== undefined) return known;
    if (this.#byValue.size < this.#limit) return this.#append(text);
    return this.#byValue.get(other) ?? this.#append(other);
  }

  #append(text: string): number {
    const code = this.#byValue.size;
    this.#byValue.set(text, code);
    return code;
  }
}
