import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError, type ModelSignature, toEspalierError } from "@espalier/core";
import { parseInvocation } from "../protocol/mlflow.ts";
import type { Table } from "./table.ts";

/**
 * Rows that a model is run on before it is ready: those of `warmup.json` in its folder, in any form of MLflow's invocations; else one row of
 * zeros. Absent for a model with text columns and no such file, since text is not guessed. Errors: INVALID_DATA naming the file.
 */
export async function warmUpRows(folder: string, signature: ModelSignature): Promise<Table | undefined> {
  const at = join(folder, "warmup.json");
  const text = await readFile(at, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new EspalierError("INVALID_DATA", `warmup.json can not be read: ${error.message}`, { at, cause: error });
  });
  if (text !== undefined) {
    try {
      return parseInvocation(JSON.parse(text), { signature }).table;
    } catch (cause) {
      throw new EspalierError(
        "INVALID_DATA",
        `warmup.json holds no rows of this model: ${toEspalierError(cause).message}`,
        {
          at,
          cause,
          hint: 'Write what a caller would post to /invocations, such as {"dataframe_split": {"columns": [...], "data": [...]}}.',
        },
      );
    }
  }
  if (signature.inputs.some(({ type }) => type === "string" || type === "datetime")) return undefined;
  const values = signature.inputs.map(({ type, shape }) => {
    const zero = type === "boolean" ? false : 0;
    return shape === undefined ? zero : new Array<unknown>(shape.reduce((size, length) => size * length, 1)).fill(zero);
  });
  return { rows: 1, values };
}

/** So many rows, by repeating those of the table. */
export function repeatRows(table: Table, rows: number): Table {
  const width = table.values.length / table.rows;
  return {
    rows,
    values: Array.from({ length: rows * width }, (_, index) => table.values[index % table.values.length]),
  };
}
