import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { columnModel, columnSignature, identityModel, writeModelFolder } from "@espalier/conformance";
import type { ModelSignature } from "@espalier/core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, runServer, temporaryFolder } from "../testing/running-server.ts";

/** Whatever is sent, the answer is the protocol's, never the server's own fault, and the server goes on. */
describe("any body", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let columns: RunningServer;
  let tensors: RunningServer;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const at = await writeModelFolder(join(folder.path, "columns"), columnModel(), columnSignature);
    columns = await runServer({ modelDirectory: at, bodyLimitBytes: 4_000_000 });
    const signature: ModelSignature = {
      format: "onnx",
      payload: "model.onnx",
      inputs: [
        { name: "flag", type: "boolean" },
        { name: "image", type: "float", shape: [2, 1] },
      ],
      outputs: [{ name: "image_out", type: "float", shape: [2, 1] }],
    };
    const graph = identityModel([
      { name: "flag", type: "bool" },
      { name: "image", type: "float", shape: [2, 1] },
    ]);
    tensors = await runServer({
      modelDirectory: await writeModelFolder(join(folder.path, "tensors"), graph, signature),
    });
  });
  afterAll(async () => {
    await Promise.all([columns.server.close(), tensors.server.close()]);
    await folder.remove();
  });

  const paths = [
    "/v2/models/tiny/infer",
    "/v1/models/tiny:predict",
    "/v1/models/tiny:explain",
    "/invocations",
    "/score",
  ] as const;
  const types = ["application/json", "text/csv", "application/octet-stream", "text/csv; charset=utf-8", ""] as const;

  /** The answer's status; fails for an answer that no protocol has. */
  async function check(path: string, body: Uint8Array | string, headers: Record<string, string>): Promise<number> {
    for (const server of [columns, tensors]) {
      const answer = await server.send(path, body, headers);
      const text = answer.bytes.toString();
      const told = JSON.stringify([path, headers, text.slice(0, 500)]);
      if (answer.status === 200) continue;
      // A body may say `timeout`, and on a busy machine that passes.
      if (answer.status === 503 || answer.status === 504) expect(text, told).toMatch(/deadline/);
      else expect([400, 413, 415, 501], told).toContain(answer.status);
      if (answer.status === 415) {
        expect(answer.headers.get("content-type"), told).toMatch(/^text\/plain/);
        continue;
      }
      const json = JSON.parse(text) as { error?: unknown; error_code?: unknown; message?: unknown };
      const isV2 = path.startsWith("/v") || json.error !== undefined;
      expect(isV2 ? typeof json.error : typeof json.message, told).toBe("string");
      if (!isV2) expect(json.error_code, told).toEqual(expect.stringMatching(/^[A-Z_]+$/));
      expect(text.length, told).toBeLessThan(10_000);
      expect(text, told).not.toMatch(/Cannot|undefined|is not a function|at file:/);
    }
    const alive = await columns.post("/invocations", {
      dataframe_split: { columns: ["amount", "grade", "city"], data: [[1, 0, "north"]] },
    });
    expect(alive.body).toEqual({ predictions: [101] });
    return alive.status;
  }

  const path = fc.constantFrom(...paths);
  const value: fc.Arbitrary<unknown> = fc.oneof(
    fc.constantFrom(
      null,
      true,
      "",
      "north",
      "a\u0000b",
      0,
      -1,
      1.5,
      1e300,
      2 ** 53,
      -(2 ** 31),
      "2001-01-01",
      "NaN",
      {},
      [],
    ),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const name = fc.oneof(
    fc.constantFrom("amount", "grade", "city", "flag", "image", "__proto__", "toString", ""),
    fc.string(),
  );
  const datatype = fc.oneof(
    fc.constantFrom("BOOL", "INT64", "INT8", "UINT64", "FP16", "BF16", "FP32", "FP64", "BYTES", "FP", "constructor"),
    value,
  );
  const size = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53, "1", null));
  const shape = fc.oneof(fc.array(size, { maxLength: 4 }), value);
  const parameters = fc.oneof(
    fc.dictionary(
      fc.oneof(
        fc.constantFrom("binary_data_size", "binary_data", "binary_data_output", "classification", "timeout"),
        name,
      ),
      fc.oneof(fc.integer(), fc.boolean(), value),
      { maxKeys: 3 },
    ),
    value,
  );
  const tensor = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record(
        { name, datatype, shape, data: fc.oneof(fc.array(value, { maxLength: 4 }), value), parameters },
        { requiredKeys: [] },
      ),
    },
    { weight: 1, arbitrary: value },
  );
  const rows = fc.oneof(
    fc.array(fc.oneof(fc.array(value, { maxLength: 4 }), fc.dictionary(name, value, { maxKeys: 4 }), value), {
      maxLength: 4,
    }),
    fc.dictionary(name, fc.oneof(fc.array(value, { maxLength: 3 }), value), { maxKeys: 4 }),
    value,
  );
  const body = fc.record(
    {
      inputs: fc.oneof(fc.array(tensor, { maxLength: 4 }), rows),
      instances: rows,
      dataframe_records: rows,
      dataframe_split: fc.oneof(
        fc.record({ columns: fc.oneof(fc.array(name), value), data: rows }, { requiredKeys: [] }),
        value,
      ),
      outputs: fc.oneof(
        fc.array(fc.oneof(fc.record({ name: value, parameters }, { requiredKeys: [] }), value), { maxLength: 3 }),
        value,
      ),
      id: value,
      parameters,
      params: parameters,
    },
    { requiredKeys: [] },
  );

  it("that is nearly a request is answered or refused", async () => {
    await fc.assert(
      fc.asyncProperty(path, body, async (to, given) => {
        await check(to, JSON.stringify(given), { "content-type": "application/json" });
      }),
      { numRuns: 1500 },
    );
  });

  it("of bytes behind a header is answered or refused", async () => {
    const header = fc.oneof(
      fc.constantFrom("", "-1", "0", "1e3", "0x10", " 5", "99999999999999999999", "٣"),
      fc.integer({ min: 0, max: 400 }).map(String),
    );
    const given = fc.tuple(fc.array(tensor, { maxLength: 3 }), fc.uint8Array({ maxLength: 64 }), fc.option(header));
    await fc.assert(
      fc.asyncProperty(given, async ([inputs, bytes, length]) => {
        const json = Buffer.from(JSON.stringify({ inputs }));
        const text = length ?? String(json.length);
        // Header values outside ASCII never leave the client.
        if (!/^[\x20-\x7e]*$/.test(text)) return;
        await check("/v2/models/tiny/infer", Buffer.concat([json, bytes]), { "inference-header-content-length": text });
      }),
      { numRuns: 800 },
    );
  });

  it("of bytes of any kind is answered or refused", async () => {
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.string({ unit: "binary", maxLength: 200 }).map((text) => Buffer.from(text)),
      fc.string({ maxLength: 60 }).map((text) => Buffer.from(`amount,grade,city\n${text}`)),
      fc
        .array(fc.constantFrom("[", "{", '"', "]", "}", ",", ":", "1", "NaN", "-", "1e999", "\n"), { maxLength: 40 })
        .map((parts) => Buffer.from(parts.join(""))),
    );
    const encoding = fc.constantFrom("", "identity", "gzip", "deflate", "br");
    await fc.assert(
      fc.asyncProperty(path, garbage, fc.constantFrom(...types), encoding, async (to, bytes, type, coding) => {
        const headers: Record<string, string> = {
          ...(type === "" ? {} : { "content-type": type }),
          ...(coding === "" ? {} : { "content-encoding": coding }),
        };
        await check(to, coding === "gzip" && bytes.length % 2 === 0 ? gzipSync(bytes) : bytes, headers);
      }),
      { numRuns: 800 },
    );
  });

  const deep = (open: string, close: string, depth: number, inside = "") =>
    open.repeat(depth) + inside + close.repeat(depth);
  it.each<[string, string]>([
    ["lists", deep("[", "]", 200_000)],
    ["lists as instances", `{"instances":${deep("[", "]", 200_000)}}`],
    [
      "lists as tensors",
      `{"inputs":[{"name":"amount","datatype":"FP64","shape":[1],"data":${deep("[", "]", 200_000)}}]}`,
    ],
    ["a cell of lists", `{"instances":[[1,0,${deep("[", "]", 200_000)}]]}`],
    ["objects", `{"instances":${deep('{"a":', "}", 200_000, "1")}}`],
    ["objects around a long integer", `{"instances":${deep('{"a":', "}", 200_000, "12345678901234567890")}}`],
    ["lists around a long integer", `{"instances":[[${deep("[", "]", 200_000, "12345678901234567890")}]]}`],
    ["params", `{"instances":[[1,0,"x"]],"params":{"a":${deep("[", "]", 200_000)}}}`],
    ["parameters", `{"inputs":[],"parameters":{"a":${deep("[", "]", 200_000)}}}`],
    ["lists that never end", "[".repeat(1_000_000)],
    ["a million keys", `{${Array.from({ length: 200_000 }, (_, index) => `"k${index}":0`).join(",")}}`],
    ["a number of a million digits", `{"instances":[[${"9".repeat(1_000_000)},0,"x"]]}`],
    [
      "an integer of a million digits as a tensor",
      `{"inputs":[{"name":"grade","datatype":"INT64","shape":[1],"data":[${"9".repeat(1_000_000)}]}]}`,
    ],
    ["a name of a million letters", `{"instances":[{"${"x".repeat(1_000_000)}":1}]}`],
    ["a text of a million letters", `{"instances":[["${"x".repeat(1_000_000)}",0,"x"]]}`],
  ])("of deep or endless %s is refused", async (_name, given) => {
    for (const to of paths) await check(to, given, { "content-type": "application/json" });
  });
});
