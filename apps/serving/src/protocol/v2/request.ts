import type { ModelSignature } from "@espalier/core";
import { parseJson } from "../../http/body.ts";
import { badRequest, shortened } from "../../http/request-error.ts";
import { show } from "../../model/cells.ts";
import type { Table } from "../../model/table.ts";
import { decodeRaw } from "./raw-tensor.ts";
import { tableFromRawBody, tableFromTensors } from "./table.ts";
import { checkedHead, elementCount, jsonElements, type V2Tensor } from "./tensor.ts";

/** Open Inference Protocol V2, an inference request (kserve/open-inference-protocol), with Triton's binary tensors. */

export interface V2Request {
  id?: string;
  table: Table;
  outputs: RequestedOutputs;
  /** Milliseconds since the epoch. */
  deadline?: number;
  /** Parameters that are not the protocol's own. */
  params?: Readonly<Record<string, unknown>>;
}

/** The wanted outputs by name; undefined: all. */
export interface RequestedOutputs {
  names: ReadonlyMap<string, OutputForm> | undefined;
  /** The form of outputs that are not named. */
  binary: boolean;
}

export interface OutputForm {
  binary: boolean;
  /** Above 0: the so many highest values of a row, as text `value:index`. */
  classes: number;
}

/** True for a body whose `inputs` are V2 tensors, since MLflow's `inputs` has the same name: a list whose every element has all three. */
export function looksLikeV2(body: unknown): boolean {
  const inputs = (body as { inputs?: unknown } | null)?.inputs;
  return (
    Array.isArray(inputs) &&
    inputs.length > 0 &&
    inputs.every(
      (input) =>
        typeof input === "object" && input !== null && "name" in input && "datatype" in input && "shape" in input,
    )
  );
}

/**
 * A request's body. `headerLength`: the value of Inference-Header-Content-Length, the bytes of JSON before the binary tensors; 0 for a body
 * that is nothing but the one input's elements. Errors: INVALID_INPUT.
 */
export function readV2(body: Buffer, headerLength: string | undefined, signature: ModelSignature): V2Request {
  if (headerLength === undefined) return parseV2(parseJson(body), undefined, signature);
  if (!/^\d{1,15}$/.test(headerLength)) {
    throw badRequest(`Inference-Header-Content-Length must be a number of bytes, got "${headerLength.slice(0, 40)}"`);
  }
  const length = Number(headerLength);
  if (length > body.length) {
    throw badRequest(`Inference-Header-Content-Length is ${length}, and the body has ${body.length} bytes`);
  }
  if (length === 0) {
    return { table: tableFromRawBody(body, signature), outputs: { names: undefined, binary: true } };
  }
  return parseV2(parseJson(body.subarray(0, length)), body.subarray(length), signature);
}

/** `binary`: what follows the JSON. Errors: INVALID_INPUT naming the tensor or column. */
export function parseV2(body: unknown, binary: Buffer | undefined, signature: ModelSignature): V2Request {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw badRequest("The body is not a JSON object");
  const { id, inputs, outputs, parameters } = body as Record<string, unknown>;
  if (!Array.isArray(inputs) || inputs.length === 0) throw badRequest('"inputs" must be a list of tensors', "inputs");
  return v2Request({ id, tensors: parseTensors(inputs, binary), outputs, parameters }, signature);
}

/** What HTTP and gRPC have in common, once the tensors are read. Errors: INVALID_INPUT naming the tensor or column. */
export function v2Request(
  given: { id: unknown; tensors: readonly V2Tensor[]; outputs: unknown; parameters: unknown },
  signature: ModelSignature,
): V2Request {
  const { id } = given;
  if (id !== undefined && (typeof id !== "string" || id.length > 1024)) {
    throw badRequest('"id" must be a string of at most 1024 characters');
  }
  const parameters = checkedParameters(given.parameters, "parameters");
  const table = tableFromTensors(given.tensors, signature);
  const request: V2Request = { table, outputs: parseOutputs(given.outputs, parameters, signature) };
  if (typeof id === "string" && id !== "") request.id = id;
  const deadline = deadlineOf(parameters);
  if (deadline !== undefined) request.deadline = deadline;
  const params = modelParams(parameters);
  if (params !== undefined) request.params = params;
  return request;
}

function parseTensors(inputs: readonly unknown[], binary: Buffer | undefined): V2Tensor[] {
  let at = 0;
  const tensors = inputs.map((input, index): V2Tensor => {
    const head = checkedHead(input, index);
    const { data, parameters } = input as { data?: unknown; parameters?: unknown };
    const size = parameters === undefined ? undefined : binarySize(head.name, parameters);
    if (size === undefined) return { ...head, data: jsonElements(head, data) };
    if (data !== undefined)
      throw badRequest(`input "${shortened(head.name)}" has both data and binary data`, head.name);
    if (binary === undefined) {
      throw badRequest(
        `input "${shortened(head.name)}" is binary, and the request has no Inference-Header-Content-Length`,
        head.name,
      );
    }
    if (at + size > binary.length) {
      throw badRequest(
        `input "${shortened(head.name)}" has ${size} bytes of binary data, of which the body holds ${binary.length - at}`,
        head.name,
      );
    }
    const bytes = binary.subarray(at, at + size);
    at += size;
    return { ...head, data: decodeRaw(head.name, head.datatype, bytes, elementCount(head.shape)) };
  });
  if (binary !== undefined && at !== binary.length) {
    throw badRequest(`The body holds ${binary.length} bytes of binary data, and the inputs name ${at}`);
  }
  return tensors;
}

function binarySize(name: string, parameters: unknown): number | undefined {
  const size = checkedParameters(parameters, `input "${shortened(name)}": "parameters"`).binary_data_size;
  if (size === undefined) return undefined;
  if (!Number.isSafeInteger(size) || (size as number) < 0) {
    throw badRequest(`input "${shortened(name)}": "binary_data_size" must be a number of bytes`, name);
  }
  return size as number;
}

type Parameters = Readonly<Record<string, unknown>>;
const noParameters: Parameters = {};

function checkedParameters(parameters: unknown, place: string): Parameters {
  if (parameters === undefined || parameters === null) return noParameters;
  if (typeof parameters !== "object" || Array.isArray(parameters)) throw badRequest(`${place} must be an object`);
  return parameters as Parameters;
}

/** Parameters of the protocol and of Triton's extensions, which are never the model's. */
const ownParameters = new Set([
  "binary_data_output",
  "timeout",
  "priority",
  "sequence_id",
  "sequence_start",
  "sequence_end",
  "headers",
  "content_type",
]);

function modelParams(parameters: Parameters): Parameters | undefined {
  if (parameters === noParameters) return undefined;
  const entries = Object.entries(parameters).filter(
    ([name, value]) => !ownParameters.has(name) && (typeof value !== "object" || value === null),
  );
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** Triton's `timeout`: microseconds that the request may take. */
function deadlineOf({ timeout }: Parameters): number | undefined {
  if (timeout === undefined || timeout === 0) return undefined;
  const microseconds = typeof timeout === "string" || typeof timeout === "bigint" ? Number(timeout) : timeout;
  if (typeof microseconds !== "number" || !(microseconds > 0)) {
    throw badRequest('"timeout" must be a number of microseconds');
  }
  return Date.now() + microseconds / 1000;
}

function flag(parameters: Parameters, name: string): boolean | undefined {
  const value = parameters[name];
  if (value === undefined || typeof value === "boolean") return value;
  throw badRequest(`"${name}" must be true or false`);
}

function parseOutputs(outputs: unknown, parameters: Parameters, signature: ModelSignature): RequestedOutputs {
  const binary = parameters === noParameters ? false : (flag(parameters, "binary_data_output") ?? false);
  if (outputs === undefined) return { names: undefined, binary };
  if (!Array.isArray(outputs)) throw badRequest('"outputs" must be a list');
  if (outputs.length === 0) return { names: undefined, binary };
  const names = new Map<string, OutputForm>();
  for (const output of outputs as ({ name?: unknown; parameters?: unknown } | null)[]) {
    const known = signature.outputs.find(({ name }) => name === output?.name);
    if (known === undefined) {
      const all = signature.outputs.map(({ name }) => name).join(", ");
      throw badRequest(`unknown output ${show(output?.name)}; the model has ${all}`);
    }
    if (names.has(known.name)) throw badRequest(`output "${known.name}" is asked for twice`);
    const own = checkedParameters(output?.parameters, `output "${known.name}": "parameters"`);
    const classes = own.classification ?? 0;
    if (!Number.isSafeInteger(classes) || (classes as number) < 0) {
      throw badRequest(`output "${known.name}": "classification" must be a number of classes`);
    }
    names.set(known.name, { binary: flag(own, "binary_data") ?? binary, classes: classes as number });
  }
  return { names, binary };
}
