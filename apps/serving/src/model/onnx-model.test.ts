import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import {
  columnModel,
  columnSignature,
  identityModel,
  logisticModel,
  matrixSignature,
  slowModel,
  writeModelFolder,
} from "@espalier/conformance";
import type { ModelSignature } from "@espalier/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../testing/running-server.ts";
import { measureInlineRows } from "./measure-runs.ts";
import { type OnnxModelOptions, openOnnxModel } from "./onnx-model.ts";
import { createOnnxPool } from "./onnx-pool.ts";
import { startOnnxThread } from "./onnx-thread.ts";
import { tableFromRows } from "./table.ts";

const options: OnnxModelOptions = { maxBatchRows: 256, maxQueueRequests: 1024 };

/** Turns of the event loop until the promise settles. */
async function turnsUntil(promise: Promise<unknown>): Promise<number> {
  let settled = false;
  const mark = (): void => {
    settled = true;
  };
  promise.then(mark, mark);
  let turns = 0;
  while (!settled) {
    turns++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return turns;
}

describe("ONNX models", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let small: string;
  let slow: string;
  const slowColumns = Array.from({ length: 512 }, (_, index) => `x${index}`);
  const slowTable = (rows: number) => ({ rows, values: new Array(rows * slowColumns.length).fill(2) });

  beforeAll(async () => {
    folder = await temporaryFolder();
    const at = (name: string) => join(folder.path, name);
    small = await writeModelFolder(at("small"), logisticModel([1, -1], 0), matrixSignature(["a", "b"]));
    slow = await writeModelFolder(at("slow"), slowModel(512, 60), matrixSignature(slowColumns));
  });
  afterAll(() => folder.remove());

  it.each(["inline", "threads", "auto"] as const)("answers alike: %s", async (runtime) => {
    const model = await openOnnxModel(small, { ...options, runtime, threads: 2 });
    const tables = [0, 1, 2, 3].map((value) =>
      tableFromRows(model.signature, [
        [value, 0],
        [0, value],
      ]),
    );
    const answers = await Promise.all(tables.map((table) => model.predict(table)));
    for (const [value, [output]] of answers.entries()) {
      expect(output).toMatchObject({ name: "probability", type: "float32", tail: [1] });
      const [first = 0, second = 0] = (output?.data ?? []) as number[];
      expect(first).toBeCloseTo(1 / (1 + Math.exp(-value)), 6);
      expect(first + second).toBeCloseTo(1, 6);
    }
    await model.release();
    await expect(model.predict(tables[0] as (typeof tables)[0])).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("a heavy model is moved to threads, as measured; the event loop goes on while it runs", async () => {
    const heavy = await openOnnxModel(slow, options);
    const light = await openOnnxModel(small, options);
    const runs = heavy.predict(slowTable(256));
    let done = false;
    void runs.then(() => {
      done = true;
    });
    const [output] = await light.predict(tableFromRows(light.signature, [[0, 0]]));
    expect([done, output?.data[0]]).toEqual([false, 0.5]);
    expect(await turnsUntil(runs)).toBeGreaterThan(20);
    expect((await runs)[0]?.data[255]).toBeCloseTo(1 / (1 + Math.exp(-2)), 5);
    await Promise.all([heavy.release(), light.release()]);

    const forced = await openOnnxModel(slow, { ...options, runtime: "inline" });
    expect(await turnsUntil(forced.predict(slowTable(256)))).toBeLessThan(10);
    await forced.release();
  });

  it("a limit of requests holds for those in this thread and those in others together", async () => {
    const model = await openOnnxModel(small, { ...options, maxBatchRows: 1, maxConcurrentRequests: 2 });
    const ask = (rows: number) => model.predict({ rows, values: new Array(rows * 2).fill(1) });
    const outcomes = await Promise.allSettled([ask(200_000), ask(1), ask(1), ask(200_000)]);
    expect(outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason.code : "answered"))).toEqual([
      "answered",
      "answered",
      "RATE_LIMITED",
      "RATE_LIMITED",
    ]);
    await model.release();
  });

  it("measures how many rows this thread may run unnoticed", async () => {
    const cost = (millisecondsARow: number) => async (rows: number) => {
      const end = performance.now() + rows * millisecondsARow;
      while (performance.now() < end);
    };
    expect(await measureInlineRows(cost(10))).toBe(0);
    const some = await measureInlineRows(cost(0.1));
    expect(some).toBeGreaterThanOrEqual(1);
    expect(some).toBeLessThanOrEqual(16);
    expect(await measureInlineRows(async () => undefined)).toBe(4096);
  });

  const spawned = (workers: Worker[]) => (file: string) =>
    startOnnxThread(file, (path) => {
      const entry = new URL("./onnx-thread-main.ts", import.meta.url);
      const worker = new Worker(entry, { workerData: { file: path }, execArgv: [] });
      workers.push(worker);
      return worker;
    });
  const slowFeeds = () => [
    { name: "input", type: "float32", data: new Float32Array(64 * 512).fill(2), dimensions: [64, 512] },
  ];

  it("a thread that dies is replaced, and its run is repeated; memory goes with the threads", async () => {
    const workers: Worker[] = [];
    const pool = createOnnxPool({
      file: join(slow, "model.onnx"),
      threads: 1,
      keptThreads: 1,
      start: spawned(workers),
    });
    await pool.run(slowFeeds(), ["probability"]);
    const run = pool.run(slowFeeds(), ["probability"]);
    await workers[0]?.terminate();
    const [output] = await run;
    expect(output?.data[63]).toBeCloseTo(1 / (1 + Math.exp(-2)), 5);
    expect([workers.length, pool.threads()]).toEqual([2, 1]);
    const exits = workers[1] === undefined ? undefined : new Promise((resolve) => workers[1]?.once("exit", resolve));
    await pool.release();
    expect(await exits).toBe(0);
  });

  it("a run whose thread dies twice is UNAVAILABLE; the next one is served", async () => {
    const workers: Worker[] = [];
    let deaths = 2;
    const start = spawned(workers);
    const pool = createOnnxPool({
      file: join(slow, "model.onnx"),
      threads: 2,
      keptThreads: 0,
      idleMilliseconds: 1,
      start(file) {
        const thread = start(file);
        const worker = workers.at(-1);
        return deaths-- <= 0
          ? thread
          : {
              ...thread,
              run: (...given) => [thread.run(...given), worker?.terminate()][0] as ReturnType<typeof thread.run>,
            };
      },
    });
    await expect(pool.run(slowFeeds(), ["probability"])).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(pool.run(slowFeeds(), ["probability"])).resolves.toHaveLength(1);
    // Idle threads end by themselves and give their memory back.
    while (pool.threads() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await pool.release();
    const gone = createOnnxPool({ file: join(folder.path, "nowhere.onnx"), threads: 1, keptThreads: 0 });
    await expect(gone.run([], [])).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it.each(["inline", "threads"] as const)(
    "tensors of several dimensions, text, 64 bits, halves, bytes and booleans: %s",
    async (runtime) => {
      const signature: ModelSignature = {
        format: "onnx",
        payload: "model.onnx",
        inputs: [
          { name: "image", type: "float", shape: [2, 3] },
          { name: "half", type: "float", shape: [2] },
          { name: "pixel", type: "integer" },
          { name: "count", type: "long" },
          { name: "large", type: "long" },
          { name: "flag", type: "boolean" },
          { name: "words", type: "string", shape: [2] },
          { name: "word", type: "string" },
          { name: "precise", type: "double" },
        ],
        outputs: [],
      };
      const types = ["float", "float16", "uint8", "int64", "uint64", "bool", "string", "string", "double"] as const;
      const graph = identityModel(
        signature.inputs.map(({ name, shape = [] }, index) => ({ name, type: types[index] ?? "float", shape })),
      );
      signature.outputs = signature.inputs.map(({ name, type, shape = [] }) => ({
        name: `${name}_out`,
        type,
        shape: [...shape],
      }));
      const at = await writeModelFolder(join(folder.path, `tensors-${runtime}`), graph, signature);
      const model = await openOnnxModel(at, { ...options, runtime });
      const row = [[1, 2, 3, 4, 5, 6], [0.5, -2], 255, 2n ** 62n + 1n, 2n ** 63n - 1n, true, ["a", "é"], "z", 0.1];
      const other = [
        [
          [9, 8, 7],
          [6, 5, 4],
        ],
        [1, 1],
        0,
        -1,
        0,
        false,
        ["", "b"],
        "",
        1e300,
      ];
      const [first, second] = await Promise.all([
        model.predict(tableFromRows(model.signature, [row])),
        model.predict(tableFromRows(model.signature, [other, row])),
      ]);
      const flat = row.map((cell) => (Array.isArray(cell) ? cell : [cell]));
      expect(first?.map(({ data }) => Array.from(data as never))).toEqual(
        flat.map((cells, index) => (types[index] === "bool" ? [1] : cells)),
      );
      expect(second?.map(({ tail }) => [...tail])).toEqual([[2, 3], [2], [], [], [], [], [2], [], []]);
      expect(Array.from(second?.[0]?.data as Float32Array)).toEqual([9, 8, 7, 6, 5, 4, 1, 2, 3, 4, 5, 6]);
      await expect(model.predict(tableFromRows(model.signature, [row.with(2, 256)]))).rejects.toMatchObject({
        code: "INVALID_INPUT",
        message: expect.stringContaining("256 does not fit into uint8"),
      });
      await model.release();
    },
  );

  it("a number that 32 bits would make an infinity is refused, the largest that they hold is not", async () => {
    const model = await openOnnxModel(small, options);
    const ask = (value: number) => model.predict(tableFromRows(model.signature, [[value, 0]]));
    for (const value of [1e39, -1e300, 3.4028235677973366e38]) {
      await expect(ask(value)).rejects.toMatchObject({
        code: "INVALID_INPUT",
        message: expect.stringMatching(/column "a": .* does not fit into float32/),
      });
    }
    for (const value of [3.4028234663852886e38, 3.402823567797336e38]) expect(await ask(value)).toHaveLength(1);
    await model.release();
    const fields = [{ name: "value", type: "float" }] as const;
    const signature: ModelSignature = {
      format: "onnx",
      payload: "model.onnx",
      inputs: [{ name: "value", type: "double" }],
      outputs: [{ name: "value_out", type: "float" }],
    };
    const column = await writeModelFolder(join(folder.path, "overflow"), identityModel(fields), signature);
    const narrow = await openOnnxModel(column, options);
    await expect(narrow.predict(tableFromRows(signature, [[1e39]]))).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await narrow.release();
  });

  it("a graph that was exported for one row takes more of them, one after the other; for other numbers it is refused", async () => {
    const signature: ModelSignature = {
      format: "onnx",
      payload: "model.onnx",
      inputs: [
        { name: "image", type: "float", shape: [2] },
        { name: "word", type: "string" },
      ],
      outputs: [
        { name: "image_out", type: "float", shape: [2] },
        { name: "word_out", type: "string" },
      ],
    };
    const fields = [
      { name: "image", type: "float", shape: [2] },
      { name: "word", type: "string" },
    ] as const;
    const at = await writeModelFolder(join(folder.path, "one-row"), identityModel(fields, 1), signature);
    const model = await openOnnxModel(at, options);
    const row = (value: number) => [[value, -value], `w${value}`];
    const [first, second] = await Promise.all([
      model.predict(tableFromRows(signature, [row(1), row(2), row(3)])),
      model.predict(tableFromRows(signature, [row(4)])),
    ]);
    expect(first.map(({ data }) => Array.from(data as never))).toEqual([
      [1, -1, 2, -2, 3, -3],
      ["w1", "w2", "w3"],
    ]);
    expect(second.map(({ data }) => Array.from(data as never))).toEqual([[4, -4], ["w4"]]);
    await model.release();
    const three = await writeModelFolder(join(folder.path, "three-rows"), identityModel(fields, 3), signature);
    await expect(openOnnxModel(three, options)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("exactly 3 rows"),
    });
  });

  it("a folder without a signature is served by what its graph says, tensors too", async () => {
    const graph = identityModel([
      { name: "image", type: "float", shape: [2, 3] },
      { name: "age", type: "int64", shape: [1] },
    ]);
    const at = await writeModelFolder(join(folder.path, "unsigned"), graph, matrixSignature(["a"]));
    await rm(join(at, "signature.json"));
    await writeFile(join(at, "MLmodel"), "flavors:\n  onnx:\n    data: model.onnx\n");
    const model = await openOnnxModel(at, options);
    expect(model.signature.inputs).toEqual([
      { name: "image", type: "float", shape: [2, 3] },
      { name: "age", type: "long" },
    ]);
    expect(model.signature.outputs).toEqual([
      { name: "image_out", type: "float", shape: [2, 3] },
      { name: "age_out", type: "long", shape: [1] },
    ]);
    await model.release();
  });

  it("the rows of warmup.json are run before a model is ready, and a bad file is named", async () => {
    const at = await writeModelFolder(join(folder.path, "warm"), columnModel(), columnSignature);
    const warm = (body: unknown) => writeFile(join(at, "warmup.json"), JSON.stringify(body));
    await warm({ dataframe_records: [{ amount: 1, grade: 2, city: "north" }] });
    const model = await openOnnxModel(at, options);
    await model.release();
    await warm({ dataframe_records: [{ amount: 1, grade: 9, city: "north" }] });
    await expect(openOnnxModel(at, options)).rejects.toMatchObject({ code: "SIGNATURE_MISMATCH" });
    await warm({ dataframe_records: [{ amount: 1 }] });
    await expect(openOnnxModel(at, options)).rejects.toMatchObject({
      code: "INVALID_DATA",
      at: join(at, "warmup.json"),
      message: expect.stringContaining('missing column "grade"'),
    });
  });

  it("batches what waits, and one bad row fails alone", async () => {
    const at = await writeModelFolder(join(folder.path, "columns"), columnModel(), columnSignature);
    const batches: number[] = [];
    const model = await openOnnxModel(at, {
      ...options,
      maxBatchRows: 4,
      maxQueueRequests: 6,
      onRun: ({ rows }) => batches.push(rows),
    });
    const ask = (grade: number) => model.predict(tableFromRows(model.signature, [[1, grade, "north"]]));
    const outcomes = await Promise.allSettled([0, 9, 2, 3, 1, 0, 1].map(ask));
    expect(
      outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value[0]?.data[0] : outcome.reason.code)),
    ).toEqual([101, "INVALID_INPUT", 121, 131, 111, 101, "RATE_LIMITED"]);
    // Four that share a run fail; so do two of them, and one.
    expect(batches).toEqual([4, 2, 1, 1, 2, 2]);
    await model.release();
  });
});
