/** Requests and answers with binary tensors, as clients of V2 make and read them. */

export interface Tensor {
  name: string;
  datatype: string;
  shape: number[];
  data?: unknown;
  bytes?: Buffer;
}

/** A request with binary tensors behind its JSON. */
export function binaryRequest(tensors: Tensor[], rest: object = {}): { body: Buffer; headers: Record<string, string> } {
  const inputs = tensors.map(({ bytes, ...head }) =>
    bytes === undefined ? head : { ...head, parameters: { binary_data_size: bytes.length } },
  );
  const json = Buffer.from(JSON.stringify({ inputs, ...rest }));
  return {
    body: Buffer.concat([json, ...tensors.map(({ bytes }) => bytes ?? Buffer.alloc(0))]),
    headers: { "inference-header-content-length": String(json.length), "content-type": "application/octet-stream" },
  };
}

export const bytesOf = (array: NodeJS.TypedArray) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
export const textBytes = (...texts: string[]) =>
  Buffer.concat(
    texts.map((text) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(Buffer.byteLength(text));
      return Buffer.concat([length, Buffer.from(text)]);
    }),
  );

/** JSON and the tensors behind it, by name. */
export function readBinary(answer: { headers: Headers; bytes: Buffer }) {
  const length = Number(answer.headers.get("inference-header-content-length"));
  const json = JSON.parse(answer.bytes.toString("utf8", 0, length));
  let at = length;
  const tensors = new Map<string, Buffer>();
  for (const { name, parameters } of json.outputs) {
    if (parameters?.binary_data_size === undefined) continue;
    tensors.set(name, answer.bytes.subarray(at, at + parameters.binary_data_size));
    at += parameters.binary_data_size;
  }
  if (at !== answer.bytes.length) throw new Error(`${answer.bytes.length - at} bytes are left behind the tensors`);
  return { json, tensors };
}
