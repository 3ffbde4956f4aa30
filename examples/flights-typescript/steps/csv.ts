import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";

/** A row of a CSV file; its values are numbers, or texts without commas and quotes. */
export type Row = Readonly<Record<string, number | string>>;

/** Reads one row at a time. `shape` says which columns there must be, and of which type. */
export async function* readRows<Shape extends Readonly<Record<string, "number" | "string">>>(
  path: string,
  shape: Shape,
): AsyncIterable<{ [Column in keyof Shape]: Shape[Column] extends "number" ? number : string }> {
  let places: [string, number, boolean][] | undefined;
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    const cells = text.split(",");
    line++;
    if (places === undefined) {
      places = Object.entries(shape).map(([column, type]) => [column, cells.indexOf(column), type === "number"]);
      const missing = places.filter(([, place]) => place < 0).map(([column]) => column);
      if (missing.length > 0) throw new Error(`line 1: no column ${missing.join(", ")}, only ${text}`);
      continue;
    }
    const row = places.map(([column, place, isNumber]) => {
      const cell = cells[place];
      if (cell === undefined || (isNumber && (cell === "" || !Number.isFinite(Number(cell))))) {
        throw new Error(`line ${line}: ${column} is not a ${isNumber ? "number" : "text"}: ${text}`);
      }
      return [column, isNumber ? Number(cell) : cell];
    });
    yield Object.fromEntries(row);
  }
}

export async function writeRows(path: string, columns: readonly string[], rows: readonly Row[]): Promise<void> {
  const lines = rows.map((row) => columns.map((column) => row[column]).join(","));
  await writeFile(path, `${[columns.join(","), ...lines].join("\n")}\n`);
}
