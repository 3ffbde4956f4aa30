import { EspalierError, type InputColumn, type ModelSignature } from "@espalier/core";
import type { InferenceSession } from "onnxruntime-node";
import type { FeedType } from "../onnx-session-client.ts";

/** One input of a graph and the columns it is made of: a matrix of all, or one tensor a column. */
export interface FeedLayout {
  name: string;
  type: FeedType;
  /** Dimensions after the rows. */
  tail: readonly number[];
  /** Indexes into the signature's inputs. */
  columns: readonly number[];
}

type InputMetadata = InferenceSession["inputMetadata"][number];

const feedTypes: readonly string[] = ["float32", "float64", "int64", "int32", "bool", "string"] satisfies FeedType[];

/** As a model server lays them out, so that both predict the same. SIGNATURE_MISMATCH, UNSUPPORTED. */
export function layoutFeeds(signature: ModelSignature, graph: readonly InputMetadata[], name: string): FeedLayout[] {
  const { inputs } = signature;
  const [only] = graph;
  const isMatrix = graph.length === 1 && !(inputs.length === 1 && inputs[0]?.name === only?.name);
  if (only !== undefined && isMatrix) {
    const width = only.isTensor ? only.shape[1] : undefined;
    if (typeof width === "number" && width > 0 && width !== inputs.length) {
      throw mismatch(
        `The graph of \`${name}\` takes ${width} columns, its signature names ${inputs.length}`,
        only.name,
      );
    }
    return [layoutOf(only, inputs, [inputs.length], (column) => inputs.indexOf(column))];
  }
  return graph.map((input) => {
    const column = inputs.find((candidate) => candidate.name === input.name);
    if (column === undefined) {
      throw mismatch(`The graph's input \`${input.name}\` is not in the signature of \`${name}\``, input.name);
    }
    const tail = input.isTensor && input.shape.length <= 1 ? [] : [1];
    return layoutOf(input, [column], tail, (one) => inputs.indexOf(one));
  });
}

function layoutOf(
  input: InputMetadata,
  columns: readonly InputColumn[],
  tail: readonly number[],
  indexOf: (column: InputColumn) => number,
): FeedLayout {
  const type = input.isTensor ? input.type : "no tensor";
  if (!feedTypes.includes(type)) {
    throw new EspalierError("UNSUPPORTED", `The graph's input \`${input.name}\` has the type ${type}`, {
      at: input.name,
      hint: `Export the model with inputs of ${feedTypes.join(", ")}.`,
    });
  }
  for (const column of columns) {
    const fits = column.type === "string" ? type === "string" : type !== "string";
    if (!fits) {
      throw mismatch(`\`${column.name}\` is ${column.type} in the signature and ${type} in the graph`, column.name);
    }
  }
  return { name: input.name, type: type as FeedType, tail, columns: columns.map(indexOf) };
}

function mismatch(message: string, at: string): EspalierError {
  return new EspalierError("SIGNATURE_MISMATCH", message, {
    at,
    hint: "signature.json describes the graph's inputs: one matrix [rows, columns], or one tensor a column under the column's name.",
  });
}
