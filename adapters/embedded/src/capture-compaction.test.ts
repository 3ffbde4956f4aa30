import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { compactCapture, compactedDirectory } from "./capture-compaction.ts";
import { openDuckDb } from "./duckdb-client.ts";

/** No process has it: Linux numbers end at 4,194,304. */
const deadPid = 4_999_999;

const header = (version: string) =>
  JSON.stringify({
    capture: 1,
    model: "m",
    version,
    inputs: [
      { name: "amount", type: "double" },
      { name: "score", type: "string" },
    ],
    scoreType: "number",
  });
const line = (id: string, amounts: (number | null)[]) =>
  JSON.stringify({
    id,
    rows: amounts.length,
    eventTime: Date.UTC(2001, 3, 1),
    servedAt: Date.UTC(2026, 0, 1),
    c0: amounts,
    c1: amounts.map(() => "it's"),
    score: amounts.map(() => 0.25),
  });

describe("capture compaction", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "espalier-capture-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const segment = (name: string, ...lines: string[]) => writeFile(join(directory, name), lines.join("\n"));
  const files = async () => (await readdir(compactedDirectory(directory))).sort();
  const rows = async () => {
    const duckDb = await openDuckDb({ threads: 1 });
    try {
      return await duckDb.rows(
        `SELECT * FROM read_parquet('${compactedDirectory(directory)}/*.parquet') ORDER BY prediction_id`,
      );
    } finally {
      await duckDb.close();
    }
  };

  it("writes one file a version; a column whose name is taken is renamed; nulls stay", async () => {
    await segment("01A-1.jsonl", header("1"), line("a", [1, null]), "");
    await segment("01B-1.jsonl", header("1"), line("b", [3]), "");
    await segment("01C-2.jsonl", header("2"), line("c", [4]), "");
    const result = await compactCapture(directory);
    expect(result.skipped).toEqual([]);
    expect(result.files.map(({ version, rows: count }) => [version, count])).toEqual([
      ["1", 3],
      ["2", 1],
    ]);
    expect(await rows()).toMatchObject([
      { prediction_id: "a-0", version: "1", amount: 1, input_score: "it's", score: 0.25 },
      { prediction_id: "a-1", amount: null },
      { prediction_id: "b", amount: 3 },
      { prediction_id: "c", version: "2" },
    ]);
    expect((await readdir(directory)).filter((name) => name.endsWith(".jsonl"))).toEqual([]);
  });

  it("outputs are columns beside the score, tensors lists, 64-bit integers exact; segments of before are read as ever", async () => {
    const inputs = [
      { name: "image", type: "float", shape: [2, 2] },
      { name: "output_label", type: "long" },
      { name: "email", type: "string", redacted: "hashed" },
      { name: "age", type: "integer", redacted: "dropped" },
    ];
    const outputs = [
      { name: "label", type: "long" },
      { name: "probabilities", type: "float", shape: [-1] },
      { name: "words", type: "string", shape: [2] },
      { name: "sure", type: "boolean" },
    ];
    const newer = JSON.stringify({ capture: 1, model: "m", version: "9", inputs, outputs, scoreType: "number" });
    const times = `"eventTime":0,"servedAt":0`;
    await segment(
      "01A-1.jsonl",
      newer,
      `{"id":"x","rows":2,${times},"score":[0.9,null],"c0":[[1,2,3,4],[5,6,7,8]],"c1":[9007199254740993,1],"c2":["aa",null],"c3":[null,null],"o0":[4611686018427387905,0],"o1":[[0.1,0.9],[1,0]],"o2":[["a","b"],["c",null]],"o3":[true,null]}`,
      // Output of one version that answered nothing under this name.
      `{"id":"y","rows":1,${times},"score":[0.5],"c0":[[0,0,0,0]],"c1":[0],"c2":["bb"],"c3":[null]}`,
      "",
    );
    await segment("01B-1.jsonl", header("1"), line("a", [1]), "");
    const result = await compactCapture(directory);
    expect(result.skipped).toEqual([]);
    const duckDb = await openDuckDb({ threads: 1 });
    const all = await duckDb.rows(
      `SELECT prediction_id, score, image[4] AS pixel, output_label::VARCHAR AS input_label, output_label_::VARCHAR AS label,
         output_probabilities[2] AS second, output_words[1] AS word, output_sure AS sure, email, age, amount
       FROM read_parquet('${compactedDirectory(directory)}/*.parquet', union_by_name = true) ORDER BY prediction_id`,
    );
    await duckDb.close();
    const none = {
      pixel: null,
      input_label: null,
      label: null,
      second: null,
      word: null,
      sure: null,
      email: null,
      age: null,
    };
    expect(all).toMatchObject([
      { ...none, prediction_id: "a", score: 0.25, amount: 1 },
      {
        prediction_id: "x-0",
        score: 0.9,
        pixel: 4,
        input_label: "9007199254740993",
        label: "4611686018427387905",
        second: 0.9,
        word: "a",
        sure: true,
        email: "aa",
        age: null,
      },
      { prediction_id: "x-1", score: null, pixel: 8, label: "0", second: 0, word: "c", sure: null, email: null },
      { prediction_id: "y", label: null, second: null, word: null, sure: null, email: "bb" },
    ]);
  });

  it("leaves a segment that is being written alone, and takes that of a killed process without its torn line", async () => {
    await segment(`01A-${process.pid}.open.jsonl`, header("1"), line("a", [1]), "");
    await segment(`01B-${deadPid}.open.jsonl`, header("1"), line("b", [2]), line("c", [3]).slice(0, 40));
    await segment(`01C-${deadPid}.open.jsonl`, header("1").slice(0, 10));
    const result = await compactCapture(directory);
    expect(result).toMatchObject({ skipped: [], files: [{ rows: 1 }] });
    expect((await rows()).map((row) => row.prediction_id)).toEqual(["b"]);
    expect((await readdir(directory)).sort()).toEqual([`01A-${process.pid}.open.jsonl`, "parquet"]);
  });

  it("sets a damaged segment aside and goes on with the others", async () => {
    await segment("01A-1.jsonl", header("1"), line("a", [1]), "");
    await segment("01B-1.jsonl", header("1"), '{"id": "b", "rows": "many"', line("b", [1]), "");
    await segment("01C-1.jsonl", "no header", "");
    const result = await compactCapture(directory);
    expect(result.skipped.map(({ segment: name }) => name).sort()).toEqual(["01B-1.jsonl", "01C-1.jsonl"]);
    expect((await rows()).map((row) => row.prediction_id)).toEqual(["a"]);
    expect((await readdir(directory)).filter((name) => name.endsWith(".bad")).sort()).toEqual([
      "01B-1.jsonl.bad",
      "01C-1.jsonl.bad",
    ]);
  });

  it("killed at any point, the next compaction neither loses nor doubles a row", async () => {
    const write = async () => {
      await segment("01A-1.jsonl", header("1"), line("a", [1]), "");
      await segment("01B-1.jsonl", header("1"), line("b", [2]), "");
    };
    await write();
    const [file] = (await compactCapture(directory)).files;
    const published = await readFile(file?.path ?? "");
    const sources = (file?.path ?? "").replace(".parquet", ".sources.json");
    const ids = async () => (await rows()).map((row) => row.prediction_id);

    // After publishing, before the segments are removed; a new segment has come since.
    await write();
    await writeFile(sources, JSON.stringify(["01A-1.jsonl", "01B-1.jsonl"]));
    await segment("01C-1.jsonl", header("1"), line("c", [3]), "");
    await compactCapture(directory);
    expect(await ids()).toEqual(["a", "b", "c"]);

    // Before publishing: a temporary file and the note are there.
    for (const name of await files()) await rm(join(compactedDirectory(directory), name));
    await write();
    await writeFile(sources, JSON.stringify(["01A-1.jsonl", "01B-1.jsonl"]));
    await writeFile((file?.path ?? "").replace(".parquet", ".tmp.parquet"), published.subarray(0, 100));
    await compactCapture(directory);
    expect(await ids()).toEqual(["a", "b"]);
    expect((await files()).every((name) => name.endsWith(".parquet"))).toBe(true);
  });
});
