import { EspalierError, scoreOutput } from "@espalier/core";
import { type ColumnValues, type OnnxModel, openOnnxModel, readScores } from "./onnx-client.ts";
import type { Feed, FeedType } from "./onnx-session-client.ts";
import { readPythonFolder } from "./python/python-folder.ts";
import { openPythonModel, pythonOf } from "./python/python-model.ts";

/** A model of any kind as a function of columns: an ONNX graph here, anything else that MLflow logs in its own Python. `name`: the input. */
export async function openModel(folder: string, name: string): Promise<OnnxModel> {
  const python = await readPythonFolder(folder, name);
  if (python === undefined) return openOnnxModel(folder, name);
  const model = await openPythonModel(python, pythonOf(name, process.env));
  const { signature, layout } = model;
  const wanted = scoreOutput(signature);
  return {
    signature,
    async score(columns, rows) {
      const feeds = layout.map(({ name: input, type, tail, columns: own }) => ({
        name: input,
        type,
        tail,
        data: feedOf(type, columns[own[0] ?? 0] ?? [], input),
      }));
      const outputs = await model.run(feeds, rows);
      const output = outputs.find((candidate) => candidate.name === wanted.name);
      if (output === undefined || Array.isArray(output.data)) {
        throw new EspalierError(
          "SIGNATURE_MISMATCH",
          `The model \`${name}\` answers no numbers named \`${wanted.name}\``,
          {
            at: name,
            hint: `It answers: ${outputs.map((candidate) => `${candidate.name} (${candidate.type})`).join(", ")}.`,
          },
        );
      }
      return readScores(output, wanted.column, rows, name);
    },
    close: () => model.close(),
  };
}

function feedOf(type: FeedType, values: ColumnValues, column: string): Feed {
  const list = Array.from(values);
  const number = (value: unknown): number => (value === null || value === undefined ? Number.NaN : Number(value));
  switch (type) {
    case "string":
      return list.map((value) =>
        value === null ? null : value instanceof Date ? value.toISOString() : String(value),
      ) as string[];
    case "bool":
      return Uint8Array.from(list, (value) => (value ? 1 : 0));
    case "int32":
      return Int32Array.from(list, (value) => whole(number(value), column));
    case "int64":
      return BigInt64Array.from(list, (value) =>
        typeof value === "bigint" ? value : BigInt(whole(number(value), column)),
      );
    case "float32":
      return Float32Array.from(list, number);
    case "float64":
      return Float64Array.from(list, number);
  }
}

/** A whole number has no NaN: a missing value would silently become 0. */
function whole(value: number, column: string): number {
  if (Number.isInteger(value)) return value;
  throw new EspalierError(
    "INVALID_DATA",
    `The column \`${column}\` holds a missing or fractional value, the model takes whole numbers`,
    {
      at: column,
    },
  );
}
