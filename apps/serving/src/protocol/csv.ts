import type { ColumnType, ModelSignature } from "@espalier/core";
import { badRequest, shortened } from "../http/request-error.ts";
import { type Table, tableFromColumns } from "../model/table.ts";

/** RFC 4180 with a header row. An empty cell is a missing value, in a string column the empty string. */
export function tableFromCsv(text: string, signature: ModelSignature): Table {
  const [header, ...rows] = parseCsv(text);
  if (header === undefined) throw badRequest("The CSV body has no header row");
  const columns = new Map<string, unknown[]>();
  for (const name of header) {
    if (columns.has(name)) throw badRequest(`column "${shortened(name)}" is given twice`, name);
    columns.set(name, []);
  }
  const lists = [...columns.values()];
  const types = header.map((name) => signature.inputs.find((input) => input.name === name)?.type);
  rows.forEach((row, index) => {
    if (row.length !== header.length) {
      throw badRequest(`row ${index}: expected ${header.length} cells, got ${row.length}`, header[row.length]);
    }
    row.forEach((cell, column) => {
      lists[column]?.push(cellValue(cell, types[column]));
    });
  });
  return tableFromColumns(signature, columns);
}

function cellValue(cell: string, type: ColumnType | undefined): unknown {
  if (type === undefined || type === "string" || type === "datetime") return cell;
  if (cell === "") return null;
  if (type === "boolean") {
    const lower = cell.toLowerCase();
    return lower === "true" ? true : lower === "false" ? false : cell;
  }
  if (/^nan$/i.test(cell)) return Number.NaN;
  if (type === "long" && /^\s*[+-]?\d{16,20}\s*$/.test(cell)) return BigInt(cell.trim().replace("+", ""));
  const number = Number(cell);
  return cell.trim() === "" || Number.isNaN(number) ? cell : number;
}

function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  const endRow = () => {
    row.push(cell);
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
    cell = "";
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (quoted) {
      if (character !== '"') cell += character;
      else if (text[at + 1] === '"') {
        cell += '"';
        at++;
      } else quoted = false;
    } else if (character === '"' && cell === "") quoted = true;
    else if (character === ",") {
      row.push(cell);
      cell = "";
    } else if (character === "\n") endRow();
    else if (character !== "\r") cell += character;
  }
  if (quoted) throw badRequest("The CSV body ends inside a quoted cell");
  if (cell !== "" || row.length > 0) endRow();
  return rows;
}
