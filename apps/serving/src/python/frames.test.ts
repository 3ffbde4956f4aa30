import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sliceRows } from "../model/slice-rows.ts";
import { decodeOutputs, encodeColumns } from "./columns.ts";
import { encodeFrame, type Frame, frameReader } from "./frames.ts";

function readAll(bytes: Buffer, cuts: readonly number[]): Frame[] {
  const frames: Frame[] = [];
  const read = frameReader((frame) => frames.push(frame));
  let from = 0;
  for (const cut of [...cuts].sort((one, other) => one - other)) {
    if (cut > from && cut < bytes.length) {
      read(bytes.subarray(from, cut));
      from = cut;
    }
  }
  read(bytes.subarray(from));
  return frames;
}

describe("frames", () => {
  it("are read whole, in whatever pieces they come", () => {
    const frame = fc.record({
      header: fc.dictionary(fc.string(), fc.jsonValue()),
      body: fc.uint8Array({ maxLength: 50 }),
    });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 5 }), fc.array(fc.nat(400), { maxLength: 20 }), (frames, cuts) => {
        const bytes = Buffer.concat(frames.flatMap(({ header, body }) => encodeFrame(header, [body])));
        const found = readAll(bytes, cuts);
        expect(found.map(({ body }) => [...body])).toEqual(frames.map(({ body }) => [...body]));
        const headers = frames.map(({ header }) => JSON.parse(JSON.stringify(header)));
        expect(found.map(({ header }) => header)).toEqual(headers);
      }),
    );
  });

  it("that can not be one are refused, before they are waited for", () => {
    const prefix = Buffer.alloc(12, 0xff);
    expect(() => frameReader(() => undefined)(prefix)).toThrow("no frame");
    const nonsense = Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Buffer.from("{a}")]);
    expect(() => frameReader(() => undefined)(nonsense)).toThrow("not JSON");
  });
});

describe("columns", () => {
  it("carry rows of several requests, each type in its own bytes, text and missing values as they are", () => {
    const inputs = [
      { name: "n", type: "double", nullable: true },
      { name: "i", type: "long" },
      { name: "b", type: "boolean" },
      { name: "t", type: "string", nullable: true },
      { name: "v", type: "float", shape: [2] },
    ] as const;
    const encoded = encodeColumns(
      inputs.map((input) => ({ ...input, shape: "shape" in input ? [...input.shape] : undefined })) as never,
      [
        { rows: 1, values: [1.5, 9007199254740993n, true, "a", [1, 2]] },
        { rows: 1, values: [Number.NaN, -1, false, Number.NaN, new Float32Array([3, 4])] },
      ],
    );
    expect(encoded.rows).toBe(2);
    expect(encoded.columns).toEqual([
      { name: "n", type: "float64", count: 2, bytes: 16 },
      { name: "i", type: "int64", count: 2, bytes: 16 },
      { name: "b", type: "bool", count: 2, bytes: 2 },
      { name: "t", type: "string", values: ["a", null] },
      { name: "v", shape: [2], type: "float32", count: 4, bytes: 16 },
    ]);
    const [numbers, integers, , vectors] = encoded.parts.map((part) => Buffer.from(part));
    expect([numbers?.readDoubleLE(0), numbers?.readDoubleLE(8)]).toEqual([1.5, Number.NaN]);
    expect([integers?.readBigInt64LE(0), integers?.readBigInt64LE(8)]).toEqual([9007199254740993n, -1n]);
    expect([0, 4, 8, 12].map((at) => vectors?.readFloatLE(at))).toEqual([1, 2, 3, 4]);
  });

  it("come back as outputs, and are cut by rows", () => {
    const body = Buffer.from(new Float64Array([1, 2, 3, 4, 5, 6]).buffer);
    const header = {
      form: "columns",
      outputs: [
        { name: "p", type: "float64", tail: [2], bytes: 48 },
        { name: "w", type: "string", tail: [], values: ["a", null, "c"] },
      ],
    };
    const outputs = decodeOutputs({ header, body });
    expect(sliceRows(outputs, 1, 3)).toEqual([
      { name: "p", type: "float64", tail: [2], form: "columns", data: new Float64Array([3, 4, 5, 6]) },
      { name: "w", type: "string", tail: [], form: "columns", data: [null, "c"] },
    ]);
    expect(() => decodeOutputs({ header, body: body.subarray(0, 40) })).toThrow("can not be read");
    expect(() => decodeOutputs({ header: {}, body })).toThrow("no outputs");
  });
});
