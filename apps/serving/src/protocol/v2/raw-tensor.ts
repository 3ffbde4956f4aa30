import { isUtf8 } from "node:buffer";
import { badRequest, shortened } from "../../http/request-error.ts";
import type { ModelOutput } from "../../model/model.ts";
import { elementBytes, outputDatatype } from "./datatypes.ts";

/**
 * Binary form of tensors: V2's binary tensor extension over HTTP and `raw_*_contents` over gRPC. Little-endian, row-major, no padding;
 * BYTES is a u32 length and its bytes, element after element.
 */

/** Elements of a tensor: a list, or a typed array when they came in binary form. */
export type TensorData = ArrayLike<unknown>;

type TypedArrayConstructor = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => TensorData;

const constructors: Readonly<Record<string, TypedArrayConstructor>> = {
  INT8: Int8Array,
  UINT8: Uint8Array,
  INT16: Int16Array,
  UINT16: Uint16Array,
  FP16: Float16Array,
  INT32: Int32Array,
  UINT32: Uint32Array,
  FP32: Float32Array,
  INT64: BigInt64Array,
  UINT64: BigUint64Array,
  FP64: Float64Array,
};

/** The elements of a binary tensor of `count` elements. Errors: INVALID_INPUT naming the tensor (length, datatype, text that is not UTF-8). */
export function decodeRaw(input: string, datatype: string, bytes: Uint8Array, count: number): TensorData {
  const name = shortened(input);
  if (datatype === "BYTES") return decodeTexts(name, bytes, count);
  const size = elementBytes[datatype];
  if (size === undefined) throw badRequest(`input "${name}": unknown datatype "${datatype.slice(0, 20)}"`, name);
  if (bytes.byteLength !== count * size) {
    throw badRequest(
      `input "${name}": ${count} elements of ${datatype} need ${count * size} bytes, got ${bytes.byteLength}`,
      name,
    );
  }
  if (datatype === "BOOL") return decodeBooleans(name, bytes);
  if (datatype === "BF16") return decodeBrain(bytes, count);
  const elements = view(constructors[datatype] as TypedArrayConstructor, bytes, size, count);
  return elements instanceof Float16Array ? Float32Array.from(elements) : elements;
}

/** A view where the place in memory allows one; a tensor behind a JSON header seldom lies on a boundary of its element size. */
function view(typedArray: TypedArrayConstructor, bytes: Uint8Array, size: number, count: number): TensorData {
  if (bytes.byteOffset % size === 0) return new typedArray(bytes.buffer, bytes.byteOffset, count);
  const copy = new Uint8Array(bytes);
  return new typedArray(copy.buffer, 0, count);
}

function decodeBooleans(name: string, bytes: Uint8Array): boolean[] {
  return Array.from(bytes, (byte) => {
    if (byte > 1) throw badRequest(`input "${name}": a BOOL element must be 0 or 1, got ${byte}`, name);
    return byte === 1;
  });
}

/** BF16 is the upper half of FP32. */
function decodeBrain(bytes: Uint8Array, count: number): Float32Array {
  const halves = view(Uint16Array, bytes, 2, count) as Uint16Array;
  const bits = new Uint32Array(count);
  for (let index = 0; index < count; index++) bits[index] = (halves[index] as number) << 16;
  return new Float32Array(bits.buffer);
}

function decodeTexts(name: string, bytes: Uint8Array, count: number): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Every element has a length of four bytes, so a count that can not be true is refused before anything is read.
  if (count * 4 > buffer.length) {
    throw badRequest(`input "${name}": ${count} BYTES elements do not fit into ${buffer.length} bytes`, name);
  }
  const texts: string[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    const length = at + 4 <= buffer.length ? buffer.readUInt32LE(at) : Number.POSITIVE_INFINITY;
    if (at + 4 + length > buffer.length) {
      throw badRequest(
        `input "${name}": element ${index} of BYTES ends behind the tensor's ${buffer.length} bytes`,
        name,
      );
    }
    const part = buffer.subarray(at + 4, at + 4 + length);
    if (!isUtf8(part)) throw badRequest(`input "${name}": element ${index} of BYTES is not UTF-8 text`, name);
    texts.push(part.toString("utf8"));
    at += 4 + length;
  }
  if (at !== buffer.length) {
    throw badRequest(`input "${name}": ${buffer.length - at} bytes are left behind its ${count} BYTES elements`, name);
  }
  return texts;
}

/** An output in binary form. */
export function encodeRaw(output: ModelOutput): Buffer {
  const { data, type } = output;
  const datatype = outputDatatype(type);
  if (datatype === "BYTES") return encodeTexts(data as ArrayLike<string>);
  if (datatype === "BOOL") return Buffer.from(Array.from(data, (value) => (value ? 1 : 0)));
  const size = elementBytes[datatype] as number;
  if (ArrayBuffer.isView(data) && data.byteLength === data.length * size) {
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }
  const typed = (constructors[datatype] as unknown as { from(values: ArrayLike<unknown>): NodeJS.TypedArray }).from(
    data,
  );
  return Buffer.from(typed.buffer, typed.byteOffset, typed.byteLength);
}

function encodeTexts(texts: ArrayLike<string>): Buffer {
  const parts: Buffer[] = [];
  for (let index = 0; index < texts.length; index++) {
    const text = Buffer.from(String(texts[index]), "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    parts.push(length, text);
  }
  return Buffer.concat(parts);
}
