import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { columnModel, columnSignature, logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, runServer, temporaryFolder } from "./testing/running-server.ts";

const tensor = (name: string, datatype: string, data: unknown[], shape: number[] = [data.length]) => ({
  name,
  datatype,
  shape,
  data,
});
const good = [
  tensor("amount", "FP64", [1, 2.5]),
  tensor("grade", "INT64", [0, 3]),
  tensor("city", "BYTES", ["north", "x"]),
];
const split = (data: unknown[][], columns: string[] = ["amount", "grade", "city"]) => ({
  dataframe_split: { columns, data },
});

describe("model server", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let columns: RunningServer;
  let matrix: RunningServer;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const columnFolder = await writeModelFolder(join(folder.path, "columns"), columnModel(), columnSignature);
    columns = await runServer({ modelDirectory: columnFolder, bodyLimitBytes: 100_000 });
    const matrixFolder = await writeModelFolder(
      join(folder.path, "matrix"),
      logisticModel([1, -1], 0),
      matrixSignature(["a", "b"]),
    );
    matrix = await runServer({ modelDirectory: matrixFolder });
  });
  afterAll(async () => {
    await Promise.all([columns.server.close(), matrix.server.close()]);
    await folder.remove();
  });

  it("answers V2 with one tensor a column, flat or nested, and echoes the id", async () => {
    const flat = await columns.post("/v2/models/tiny/infer", { id: "request-1", inputs: good });
    expect(flat.status).toBe(200);
    expect(flat.body).toEqual({
      model_name: "tiny",
      model_version: "3",
      id: "request-1",
      outputs: [{ name: "total", datatype: "FP32", shape: [2, 1], data: [101, 32.5] }],
    });
    expect(flat.headers.get("x-espalier-prediction-id")).toBe("request-1");
    const nested = good.map((input) => ({ ...input, shape: [2, 1], data: input.data.map((value) => [value]) }));
    const again = await columns.post("/v2/models/endpoint/versions/3/infer", {
      inputs: nested,
      outputs: [{ name: "total" }],
    });
    expect(again.body.outputs[0].data).toEqual([101, 32.5]);
    expect(again.body.id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
  });

  it("answers V2 with one matrix in the signature's order", async () => {
    const answer = await matrix.post("/v2/models/tiny/infer", {
      inputs: [tensor("input", "FP32", [2, 2, 0, 0], [2, 2])],
    });
    expect(answer.body.outputs).toEqual([{ name: "probability", datatype: "FP32", shape: [2, 1], data: [0.5, 0.5] }]);
    const named = await matrix.post("/v2/models/tiny/infer", {
      inputs: [tensor("b", "INT32", [4]), tensor("a", "FP64", [4])],
    });
    expect(named.body.outputs[0].data).toEqual([0.5]);
  });

  const rows = [
    [1, 0, "north"],
    [2.5, 3, "x"],
  ];
  const records = rows.map(([amount, grade, city]) => ({ city, amount, grade }));
  it.each<[string, unknown, Record<string, string>]>([
    ["dataframe_split", split(rows), {}],
    [
      "dataframe_split in another order",
      split(
        rows.map(([a, g, c]) => [c, a, g]),
        ["city", "amount", "grade"],
      ),
      {},
    ],
    ["dataframe_records", { dataframe_records: records }, {}],
    ["instances as objects", { instances: records }, {}],
    ["instances as lists", { instances: rows }, {}],
    ["inputs by column", { inputs: { amount: [1, 2.5], grade: [0, 3], city: ["north", "x"] } }, {}],
    ["CSV with a byte order mark", "\ufeffamount,grade,city\n1,0,north\n2.5,3,x", { "content-type": "text/csv" }],
    ["CSV", 'amount,grade,city\n1,0,"north"\r\n2.5,3,x\n', { "content-type": "text/csv; charset=utf-8" }],
  ])("answers MLflow's invocations: %s", async (_name, body, headers) => {
    expect((await columns.post("/invocations", body, headers)).body).toEqual({ predictions: [101, 32.5] });
  });

  it("lets a nullable column be null, which the graph sees as NaN", async () => {
    expect((await columns.post("/invocations", split([[null, 0, "north"]]))).body).toEqual({ predictions: [null] });
  });

  it.each<[string, unknown, string]>([
    ["no body", "", "no body"],
    ["not JSON", "{", "not JSON"],
    ["a bare NaN", '{"instances": [[NaN, 0, "x"]]}', "bare NaN"],
    ["no known key", { rows: [] }, "exactly one of"],
    ["two formats", { instances: [], inputs: [] }, "exactly one of"],
    ["no rows", { instances: [] }, "no rows"],
    ["a missing column", split([[1, 0]], ["amount", "grade"]), 'missing column "city"'],
    ["an unknown column", split([[1, 0, "x", 1]], ["amount", "grade", "city", "colour"]), 'unknown column "colour"'],
    [
      "a misspelt column",
      { dataframe_records: [{ amount: 1, grade: 0, town: "x" }] },
      'missing column "city"; unknown: "town"',
    ],
    [
      "a ragged row",
      split([
        [1, 0, "x"],
        [1, 0],
      ]),
      "row 1: expected 3 values, got 2",
    ],
    ["ragged columns", { inputs: { amount: [1, 2], grade: [0], city: ["x", "y"] } }, 'column "grade" has 1 rows'],
    ["text in a number column", split([["1", 0, "x"]]), 'column "amount", row 0: expected a number (double), got "1"'],
    ["a number in a text column", split([[1, 0, 7]]), 'column "city", row 0: expected a string'],
    [
      "a fraction in an integer column",
      split([
        [1, 0, "x"],
        [1, 0.5, "x"],
      ]),
      'column "grade", row 1: expected a 64-bit integer',
    ],
    [
      "an integer above 64 bits",
      '{"instances": [[1, 9223372036854775808, "x"]]}',
      'column "grade", row 0: expected a 64-bit integer',
    ],
    ["null where the signature forbids it", split([[1, null, "x"]]), 'column "grade", row 0: a value is missing'],
    ["params", { instances: [[1, 0, "x"]], params: { a: 1 } }, "takes no params"],
    ["values the graph refuses", split([[1, 9, "x"]]), "does not accept these values"],
  ])("refuses %s", async (_name, body, message) => {
    const answer = await columns.post("/invocations", body);
    expect([answer.status, answer.body.error_code, answer.body.code]).toEqual([400, "BAD_REQUEST", "INVALID_INPUT"]);
    expect(answer.body.message).toContain(message);
  });

  it.each<[string, unknown, string]>([
    ["no inputs", {}, '"inputs" must be a list'],
    ["a shape that does not fit the data", { inputs: [tensor("amount", "FP64", [1], [2])] }, "needs 2 values, got 1"],
    ["ragged nesting", { inputs: [tensor("m", "FP32", [[1, 2], [3]], [2, 2])] }, "row 1: expected 2 values, got 1"],
    ["another datatype", { inputs: [tensor("amount", "BYTES", ["1"])] }, 'column "amount": expected FP64, got BYTES'],
    ["a missing tensor", { inputs: good.slice(0, 2) }, 'missing column "city"'],
    ["a tensor twice", { inputs: [...good, good[0]] }, '"amount" is given twice'],
    ["an unknown output", { inputs: good, outputs: [{ name: "label" }] }, 'unknown output "label"'],
    [
      "a wide column",
      { inputs: [tensor("amount", "FP64", [1, 2], [1, 2]), ...good.slice(1)] },
      "expected shape [rows]",
    ],
    [
      "a binary tensor",
      { inputs: [{ name: "amount", shape: [1], datatype: "FP64", parameters: { binary_data_size: 8 } }] },
      "binary",
    ],
    ["an id that is no text", { id: 7, inputs: good }, '"id" must be a string'],
  ])("refuses in V2 %s", async (_name, body, message) => {
    const answer = await columns.post("/v2/models/tiny/infer", body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain(message);
  });

  it("refuses what is too large, elsewhere, or of another version", async () => {
    const large = await columns.post("/invocations", {
      instances: Array.from({ length: 2_000_000 }, () => [1, 0, "x"]),
    });
    expect([large.status, large.body.error_code, large.body.code]).toEqual([413, "BAD_REQUEST", "TOO_LARGE"]);
    expect((await columns.post("/v2/models/other/infer", { inputs: good })).body.error).toContain('no model "other"');
    expect((await columns.post("/v2/models/tiny/versions/4/infer", { inputs: good })).status).toBe(404);
    expect((await columns.post("/nowhere", {})).status).toBe(404);
  });

  it("tells what it is: metadata, health, metrics", async () => {
    const get = async (path: string) => (await fetch(columns.url + path)).text();
    expect(JSON.parse(await get("/v2/models/tiny"))).toMatchObject({
      platform: "onnxruntime_onnx",
      inputs: [
        { name: "amount", datatype: "FP64", shape: [-1] },
        { name: "grade", datatype: "INT64" },
        { datatype: "BYTES" },
      ],
    });
    for (const path of ["/ping", "/health", "/v2/health/ready", "/v2/models/tiny/ready"]) {
      expect((await fetch(columns.url + path)).status, path).toBe(200);
    }
    expect(JSON.parse(await get("/version"))).toEqual({ model: "tiny", version: "3" });
    expect(await get("/metrics")).toMatch(/espalier_serving_requests_total\{protocol="mlflow",status="200",.*\} \d+/);
  });

  it("answers 503 while it loads and while it drains", async () => {
    const loading = await runServer({ modelDirectory: join(folder.path, "matrix") }, false);
    const early = await loading.post("/invocations", { instances: [[0, 0]] });
    expect([early.status, early.headers.get("retry-after")]).toEqual([503, "1"]);
    expect((await fetch(`${loading.url}/ping`)).status).toBe(503);
    await loading.server.load();
    expect((await fetch(`${loading.url}/ping`)).status).toBe(200);
    loading.server.drain();
    expect((await fetch(`${loading.url}/v2/health/ready`)).status).toBe(503);
    expect((await loading.post("/invocations", { instances: [[0, 0]] })).status).toBe(200);
    await loading.server.close();
  });

  it("captures a refused request never, an answered one by row", async () => {
    const directory = join(folder.path, "capture");
    const server = await runServer({ modelDirectory: join(folder.path, "columns"), capture: { directory, rate: 1 } });
    await server.post("/invocations", split([[1, 0]]));
    await server.post("/invocations", split(rows), {
      "x-espalier-prediction-id": "p",
      "x-espalier-event-time": "2001-02-03T04:05:06Z",
    });
    await server.post("/invocations", split(rows), { "x-espalier-capture": "0" });
    await server.post("/capture/flush", {});
    await server.server.close();
    const { readdir } = await import("node:fs/promises");
    const [segment, ...others] = await readdir(directory);
    expect(others).toEqual([]);
    const lines = (await readFile(join(directory, segment ?? ""), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ capture: 1, model: "tiny", version: "3", scoreType: "number" });
    expect(lines.slice(1)).toMatchObject([
      {
        id: "p",
        rows: 2,
        eventTime: Date.UTC(2001, 1, 3, 4, 5, 6),
        c0: [1, 2.5],
        c1: [0, 3],
        c2: ["north", "x"],
        score: [101, 32.5],
      },
    ]);
  });
});
