import { isUtf8 } from "node:buffer";
import { EspalierError } from "@espalier/core";
import { badRequest, shortened } from "../http/request-error.ts";
import type { ModelOutput } from "../model/model.ts";
import { byName, outputDatatype } from "../protocol/v2/datatypes.ts";
import { decodeRaw, encodeRaw } from "../protocol/v2/raw-tensor.ts";
import { checkedHead, elementCount, jsonElements, type V2Tensor } from "../protocol/v2/tensor.ts";
import type { GrpcTensor, InferRequest, InferResponse, TensorContents } from "./messages.ts";

type ContentsField = keyof TensorContents;

/** The field of `contents` that holds a datatype. FP16 and BF16 have none: they go raw only. */
const contentsFields = byName<ContentsField>({
  BOOL: "bool_contents",
  INT8: "int_contents",
  INT16: "int_contents",
  INT32: "int_contents",
  INT64: "int64_contents",
  UINT8: "uint_contents",
  UINT16: "uint_contents",
  UINT32: "uint_contents",
  UINT64: "uint64_contents",
  FP32: "fp32_contents",
  FP64: "fp64_contents",
  BYTES: "bytes_contents",
});

/**
 * Inputs of a request. `raw_input_contents` stands in the place of `contents` for all of them or for none. Errors: INVALID_INPUT naming the
 * tensor, UNSUPPORTED for shared memory.
 */
export function tensorsOf(request: InferRequest): V2Tensor[] {
  const { inputs, raw_input_contents: raw } = request;
  if (inputs.length === 0) throw badRequest("The request has no inputs", "inputs");
  for (const { name = "", parameters } of inputs) refuseSharedMemory(name, parameters);
  if (raw.length > 0 && raw.length !== inputs.length) {
    throw badRequest(`raw_input_contents has ${raw.length} tensors, inputs has ${inputs.length}`, "raw_input_contents");
  }
  return inputs.map((input, index) => {
    const head = checkedHead(input, index);
    const filled = filledField(input.contents);
    const bytes = raw[index];
    if (bytes === undefined) return { ...head, data: contentsElements(head, input.contents, filled) };
    if (filled !== undefined) {
      throw badRequest(
        `input "${shortened(head.name)}": contents.${filled} and raw_input_contents are both given; a request takes one of them for all inputs`,
        head.name,
      );
    }
    return { ...head, data: decodeRaw(head.name, head.datatype, bytes, elementCount(head.shape)) };
  });
}

function filledField(contents: Partial<TensorContents> | undefined): ContentsField | undefined {
  for (const field in contents) {
    if ((contents[field as ContentsField]?.length ?? 0) > 0) return field as ContentsField;
  }
  return undefined;
}

function contentsElements(
  head: Omit<V2Tensor, "data">,
  contents: Partial<TensorContents> | undefined,
  filled: ContentsField | undefined,
): unknown[] {
  const { name, datatype } = head;
  const field = contentsFields[datatype];
  const place = `input "${shortened(name)}"`;
  if (field === undefined) {
    throw badRequest(`${place}: ${datatype.slice(0, 20)} can be given in raw_input_contents only`, name);
  }
  if (filled !== undefined && filled !== field) {
    throw badRequest(`${place}: ${datatype} belongs into contents.${field}, got contents.${filled}`, name);
  }
  const values: readonly unknown[] = contents?.[field] ?? [];
  if (datatype !== "BYTES") return jsonElements(head, values);
  const texts = values.map((value, element) => {
    if (!isUtf8(value as Buffer)) throw badRequest(`${place}: element ${element} of BYTES is not UTF-8 text`, name);
    return String(value);
  });
  return jsonElements(head, texts);
}

/** Errors: UNSUPPORTED. */
export function refuseSharedMemory(name: string, parameters: ReadonlyMap<string, unknown> | undefined): void {
  if (parameters === undefined || !parameters.has("shared_memory_region")) return;
  throw new EspalierError("UNSUPPORTED", `"${shortened(name)}" is in shared memory, which this server does not read`, {
    hint: "Send the tensor in the message.",
  });
}

/** Outputs in the form of the request: raw for raw, and raw where a datatype has no other form. */
export function answerTensors(
  outputs: readonly ModelOutput[],
  rows: number,
  asRaw: boolean,
): Pick<InferResponse, "outputs" | "raw_output_contents"> {
  const heads = outputs.map(({ name, type, tail }) => ({
    name,
    datatype: outputDatatype(type),
    shape: [rows, ...tail],
  }));
  if (asRaw || heads.some(({ datatype }) => contentsFields[datatype] === undefined)) {
    return { outputs: heads, raw_output_contents: outputs.map(encodeRaw) };
  }
  const tensors = heads.map((head, index): Partial<GrpcTensor> => {
    const values = Array.from((outputs[index] as ModelOutput).data);
    const { datatype } = head;
    const field = contentsFields[datatype] as ContentsField;
    const given = datatype === "BYTES" ? values.map((value) => Buffer.from(String(value))) : values;
    const elements = datatype === "BOOL" ? values.map(Boolean) : given;
    return { ...head, contents: { [field]: elements } as Partial<TensorContents> };
  });
  return { outputs: tensors, raw_output_contents: [] };
}
