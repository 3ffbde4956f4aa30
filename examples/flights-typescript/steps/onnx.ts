/**
 * Just enough of ONNX (a protocol buffer) to write a logistic regression: `probability = sigmoid(input · weights + bias)` over one float
 * matrix of shape [rows, columns]. Field numbers are those of onnx.proto, IR version 8.
 */
export function logisticModel(weights: readonly number[], bias: number): Uint8Array {
  const graph = [
    node("MatMul", ["input", "weights"], "product"),
    node("Add", ["product", "bias"], "sum"),
    node("Sigmoid", ["sum"], "probability"),
    bytes(2, "flights"),
    floatTensor("weights", [weights.length, 1], weights),
    floatTensor("bias", [1], [bias]),
    floatMatrix(11, "input", weights.length),
    floatMatrix(12, "probability", 1),
  ];
  return Buffer.concat([
    integer(1, 8),
    bytes(2, "espalier-example"),
    message(7, ...graph),
    message(8, bytes(1, ""), integer(2, 17)),
  ]);
}

const float = 1;

function node(operator: string, inputs: readonly string[], output: string): Buffer {
  return message(1, ...inputs.map((name) => bytes(1, name)), bytes(2, output), bytes(4, operator));
}

function floatTensor(name: string, dimensions: readonly number[], values: readonly number[]): Buffer {
  const data = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) data.writeFloatLE(value, index * 4);
  return message(5, ...dimensions.map((size) => integer(1, size)), integer(2, float), bytes(8, name), bytes(9, data));
}

function floatMatrix(field: number, name: string, width: number): Buffer {
  const shape = message(2, message(1, bytes(2, "rows")), message(1, integer(1, width)));
  return message(field, bytes(1, name), message(2, message(1, integer(1, float), shape)));
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function integer(field: number, value: number): Buffer {
  return Buffer.from([...varint(field * 8), ...varint(value)]);
}

function bytes(field: number, value: Uint8Array | string): Buffer {
  const body = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(body.length)]), body]);
}

function message(field: number, ...members: readonly Buffer[]): Buffer {
  return bytes(field, Buffer.concat(members));
}
