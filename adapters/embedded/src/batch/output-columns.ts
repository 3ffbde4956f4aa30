import { EspalierError, type ModelSignature, scoreOutput } from "@espalier/core";
import type { FeedType } from "../onnx-session-client.ts";

/** The slice of onnxruntime's metadata that is read here. */
export interface OutputMetadata {
  name: string;
  isTensor: boolean;
  type?: string;
  shape?: readonly (number | string)[];
}

/** One column of the predictions, or several where an output of the graph has more than one value a row. */
export interface OutputColumn {
  /** As it is called in the predictions; `name_0`, `name_1`, ... where it is more than one. */
  name: string;
  /** The output of the graph. */
  output: string;
  /** Of the output's values of a row that which counts; absent: all. */
  index?: number | "last";
  /** Of a part without rows, which shows neither. */
  type: FeedType;
  width: number;
}

/** `score`, then the outputs that were asked for by name. SIGNATURE_MISMATCH, INVALID_PIPELINE. */
export function outputColumns(
  wanted: "all" | readonly string[],
  signature: ModelSignature,
  graph: readonly OutputMetadata[],
  name: string,
): OutputColumn[] {
  const tensors = graph.filter((output) => output.isTensor).map((output) => output.name);
  const score = scoreOutput(signature);
  if (!tensors.includes(score.name)) {
    const isThere = graph.some((output) => output.name === score.name);
    throw new EspalierError(
      "SIGNATURE_MISMATCH",
      isThere
        ? `The output \`${score.name}\` of \`${name}\` is no tensor`
        : `The signature of \`${name}\` names the output \`${score.name}\`, which the graph does not have`,
      {
        at: `${name}/signature.json`,
        hint: isThere
          ? 'skl2onnx makes tensors of probabilities with options={"zipmap": False}.'
          : `The graph's outputs are: ${tensors.join(", ")}.`,
      },
    );
  }
  const shapeOf = (output: string): Pick<OutputColumn, "type" | "width"> => {
    const { type = "float32", shape = [] } = graph.find((candidate) => candidate.name === output) ?? {};
    const width = shape[1];
    return { type: type as FeedType, width: typeof width === "number" && width > 0 ? width : 1 };
  };
  const columns: OutputColumn[] = [
    { name: "score", output: score.name, index: score.column, ...shapeOf(score.name), width: 1 },
  ];
  for (const output of wanted === "all" ? tensors : wanted) {
    if (output === "score" && wanted !== "all") continue;
    if (!tensors.includes(output)) {
      throw new EspalierError("INVALID_PIPELINE", `The graph of \`${name}\` has no output tensor \`${output}\``, {
        at: "with.outputs",
        hint: `It has: ${tensors.join(", ")}.`,
      });
    }
    columns.push({ name: output === "score" ? "score_output" : output, output, ...shapeOf(output) });
  }
  return columns;
}
