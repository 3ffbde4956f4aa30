import type { HttpAnswer } from "../../http/answer-prediction.ts";
import type { ModelOutput } from "../../model/model.ts";
import { flatValues } from "../values.ts";
import { classify } from "./classification.ts";
import { outputDatatype } from "./datatypes.ts";
import { encodeRaw } from "./raw-tensor.ts";
import type { OutputForm, RequestedOutputs } from "./request.ts";

/** The outputs that were asked for, in the model's order; classified where that was asked for. */
export function selectOutputs(
  outputs: readonly ModelOutput[],
  requested: RequestedOutputs,
  rows: number,
): { output: ModelOutput; form: OutputForm }[] {
  const { names, binary } = requested;
  const selected: { output: ModelOutput; form: OutputForm }[] = [];
  for (const output of outputs) {
    const form = names === undefined ? { binary, classes: 0 } : names.get(output.name);
    if (form === undefined) continue;
    selected.push({ output: form.classes > 0 ? classify(output, rows, form.classes) : output, form });
  }
  return selected;
}

/** An inference response: JSON, or JSON and binary tensors behind it. */
export function renderV2(
  requested: RequestedOutputs,
  response: { id: string; model: string; version: string; rows: number },
  outputs: readonly ModelOutput[],
): HttpAnswer {
  const { id, model, version, rows } = response;
  const binaries: Buffer[] = [];
  const rendered = selectOutputs(outputs, requested, rows).map(({ output, form }) => {
    const head = { name: output.name, datatype: outputDatatype(output.type), shape: [rows, ...output.tail] };
    if (!form.binary) return { ...head, data: flatValues(output) };
    const bytes = encodeRaw(output);
    binaries.push(bytes);
    return { ...head, parameters: { binary_data_size: bytes.length } };
  });
  const json = JSON.stringify({ model_name: model, model_version: version, id, outputs: rendered });
  if (binaries.length === 0) return { body: json };
  const header = Buffer.from(json, "utf8");
  return {
    body: Buffer.concat([header, ...binaries]),
    contentType: "application/octet-stream",
    headers: { "inference-header-content-length": String(header.length) },
  };
}
