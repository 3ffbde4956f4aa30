/** Just enough of the protocol-buffer wire format to write an ONNX file without Python. */

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}

export function integerField(field: number, value: number): Buffer {
  return Buffer.from([...varint(field << 3), ...varint(value)]);
}

export function bytesField(field: number, value: Uint8Array | string): Buffer {
  const body = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(body.length)]), body]);
}

export function messageField(field: number, ...members: readonly Buffer[]): Buffer {
  return bytesField(field, Buffer.concat(members));
}

export function packedFloats(field: number, values: readonly number[]): Buffer {
  return bytesField(field, littleEndianFloats(values));
}

export function packedIntegers(field: number, values: readonly number[]): Buffer {
  return bytesField(field, Buffer.from(values.flatMap(varint)));
}

export function littleEndianFloats(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeFloatLE(value, index * 4);
  });
  return bytes;
}
