import { describe, expect, test } from "vitest";
import { inferRequest, modelStatisticsResponse } from "./messages.ts";
import { tensorsOf } from "./tensors.ts";

/** Recorded: what tritonclient 2.73.0 (protobuf for Python) writes for one request, its tensors typed and raw. */
const head =
  "0a046563686f1201331a03722d31220a0a04666c61671202080022120a057363616c65120921000000000000e03f220f0a0774696d656f757412041090a10f";
const wanted = "32220a0a6e756d6265725f6f757412140a0e636c617373696669636174696f6e12021002";
const typed = [
  "2a320a066e756d6265721205494e5436341a0203012a1d1a1bffffffffffffffff7fffffffffffffffffff0181808080808080102a200a04746578741205425954",
  "45531a0203012a0d4202c3a9420042056e6f7274682a170a04666c61671204424f4f4c1a0203012a050a030100012a200a05736d616c6c1204494e54381a01032a",
  "0e120c80ffffffffffffffff01007f2a200a03626967120655494e5436341a01032a0e2a0cffffffffffffffffff0100012a1b0a03756e73120655494e5433321a",
  "01032a092207ffffffff0f00012a1f0a047265616c1204465033321a01032a0e320c0000003f000000800000807f2a2b0a04776964651204465036341a01032a1a",
  "3a189a9999999999b93f9c7500883ce437fe0000000000000000",
].join("");
const raw = [
  "2a130a066e756d6265721205494e5436341a0203012a110a0474657874120542595445531a0203012a100a04666c61671204424f4f4c1a0203012a100a05736d61",
  "6c6c1204494e54381a01032a100a03626967120655494e5436341a01032a100a03756e73120655494e5433321a01032a0f0a047265616c1204465033321a01032a",
  "0f0a04776964651204465036341a0103",
].join("");
const rawContents = [
  "3a18ffffffffffffff7fffffffffffffffff01000000000020003a1302000000c3a900000000050000006e6f7274683a030100013a0380007f3a18ffffffffffff",
  "ffff000000000000000001000000000000003a0cffffffff00000000010000003a0c0000003f000000800000807f3a189a9999999999b93f9c7500883ce437fe00",
  "00000000000000",
].join("");
const recorded = { typed: head + typed + wanted, raw: head + raw + wanted + rawContents };

const expected = {
  number: [2n ** 63n - 1n, -1, 2n ** 53n + 1n],
  text: ["é", "", "north"],
  flag: [true, false, true],
  small: [-128, 0, 127],
  big: [2n ** 64n - 1n, 0, 1],
  uns: [2 ** 32 - 1, 0, 1],
  real: [0.5, -0, Number.POSITIVE_INFINITY],
  wide: [0.1, -1e300, 0],
};

/** Raw integers of 64 bits are bigints throughout; as values they are the same. */
const plain = (value: unknown): unknown =>
  typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;

describe.each(["typed", "raw"] as const)("a recorded request, %s", (form) => {
  const bytes = Buffer.from(recorded[form], "hex");

  test("says what was asked", () => {
    const request = inferRequest.decode(bytes);
    expect(request).toMatchObject({ model_name: "echo", model_version: "3", id: "r-1" });
    expect(request.parameters.get("timeout")?.int64_param).toBe(250_000);
    expect(request.parameters.get("flag")).toMatchObject({ bool_param: false, int64_param: undefined });
    expect(request.parameters.get("scale")?.double_param).toBe(0.5);
    expect(request.outputs[0]?.parameters?.get("classification")?.int64_param).toBe(2);
    const tensors = tensorsOf(request).map(({ name, data }) => [name, Array.from(data, plain)]);
    expect(Object.fromEntries(tensors)).toEqual(expected);
  });

  test("is written as the same bytes", () => {
    expect(inferRequest.encode(inferRequest.decode(bytes)).toString("hex")).toBe(recorded[form]);
  });

  test("is refused or read, wherever it is cut off", () => {
    for (let length = 0; length < bytes.length; length++) {
      try {
        inferRequest.decode(bytes.subarray(0, length));
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_INPUT" });
      }
    }
  });
});

test("fields that are not known are passed over, and unpacked lists are read", () => {
  const unknown = Buffer.from("f80701f9070000000000000000fa07026162fd0700000000", "hex");
  const unpacked = Buffer.from("2a070a017818011802", "hex");
  const request = inferRequest.decode(Buffer.concat([unknown, unpacked]));
  expect(request.inputs).toMatchObject([{ name: "x", shape: [1, 2] }]);
});

test("counts above 53 bits are exact", () => {
  const statistics = { model_stats: [{ inference_count: 2n ** 64n - 1n, last_inference: 1_790_000_000_000 }] };
  expect(modelStatisticsResponse.decode(modelStatisticsResponse.encode(statistics))).toMatchObject(statistics);
});

test.each([
  ["tensors", "2a00", 65_536],
  ["raw contents", "3a00", 1_000_000],
])("more %s than any request has are refused before they fill the memory", (_what, field, most) => {
  const times = (count: number) => Buffer.concat(Array.from({ length: count }, () => Buffer.from(field, "hex")));
  expect(() => inferRequest.decode(times(most + 1))).toThrow(`repeated more than ${most} times`);
  expect(
    inferRequest.decode(times(1000)).inputs.length + inferRequest.decode(times(1000)).raw_input_contents.length,
  ).toBe(1000);
});

test("many parameters are read in the time that their bytes take", () => {
  const parameters = new Map(Array.from({ length: 50_000 }, (_, index) => [`p${index}`, { int64_param: index }]));
  expect(inferRequest.decode(inferRequest.encode({ parameters })).parameters.get("p49999")?.int64_param).toBe(49_999);
});
