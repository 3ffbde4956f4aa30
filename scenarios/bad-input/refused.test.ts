import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { espalier, makeProject, pipeline } from "./command-line.ts";

/** Each step has one fault; beside it the words that tell the place, or the next step. */
const faults: [steps: string, words: string[]][] = [
  ['unknown_key: { run: "true", outpust: { o: file } }', ["p.yaml:4:", "Did you mean `outputs`?"]],
  ['wrong_type: { run: "true", outputs: { o: fle } }', ["p.yaml:5:", "Did you mean `file`?"]],
  ['one: { run: "true", needs: [two] }', ["p.yaml:7:", "one -> two -> one"]],
  ['two: { run: "true", needs: [one] }', []],
  ['file: { run: "true", inputs: { x: ./none.csv } }', ["p.yaml:8:", "there is no `./none.csv`"]],
  ['source: { run: "true", source: ./scr }', ["p.yaml:9:", "there is no `./scr`"]],
  ["d1: { uses: dataset, inputs: { file: ./rows.csv }, with: { name: d } }", []],
  ["d2: { uses: dataset, inputs: { file: ./rows.csv }, with: { name: d } }", ["d1 and d2 both write the dataset `d`"]],
  ['model: { run: "true", outputs: { m: model } }', []],
  ["register: { uses: register, inputs: { model: model.m }, with: { name: m } }", ["p.yaml:13:", "UNGATED"]],
  ["deploy: { uses: deploy, inputs: { model: model.m }, with: { endpoint: e } }", ["p.yaml:14:", "gate: none"]],
  ['when: { run: "true", when: "params.mdoe" }', ["p.yaml:15:", "Did you mean `mode`?"]],
  ['timeout: { run: "true", timeout: 5 parsecs }', ["p.yaml:16:", "90s"]],
];

test("every fault of a pipeline is told at once, before anything runs", async () => {
  const folder = makeProject({
    "rows.csv": "a\n1\n",
    "pipelines/p.yaml": `name: p\nparams: { mode: full }\nsteps:\n${faults.map(([step]) => `  ${step}\n`).join("")}`,
  });
  for (const command of ["plan", "run"]) {
    const said = await espalier(folder, command, "p");
    expect(said.code, said.text).toBe(2);
    for (const word of faults.flatMap(([, words]) => words)) expect(said.text).toContain(word);
  }
  expect(existsSync(join(folder, ".espalier", "store", "blobs"))).toBe(false);
  expect((await espalier(folder, "runs", "list")).text).toContain("No runs yet");
});

test("a single fault is the error itself, with its own exit code", async () => {
  const missing = '  a: { run: "true", inputs: { x: ./none.csv } }';
  const folder = makeProject({ "pipelines/m.yaml": pipeline("m", missing) });
  for (const command of ["plan", "run"]) {
    const said = await espalier(folder, command, "m");
    expect(said.text).toContain("pipelines/m.yaml:3:31: there is no `./none.csv`");
    expect(said.code, said.text).toBe(6);
  }
});

test("names that do not exist are guessed, and nothing is put on record", async () => {
  const folder = makeProject({
    "rows.csv": "a\n1\n",
    "pipelines/train.yaml": `params: { rate: 0.1, flag: true }\n${pipeline("train", '  first: { run: "true", params: [rate, flag] }')}`,
  });
  const table: [words: string[], code: number, part: string][] = [
    [["run", "trian"], 6, "Did you mean `train`?"],
    [["run", "-p", "rat=1"], 2, "Did you mean `rate`?"],
    [["run", "-p", "rate=quick"], 2, 'is a number, not "quick"'],
    [["run", "-p", "rate"], 2, "key=value"],
    [["run", "--only", "frist"], 2, "Did you mean `first`?"],
    [["run", "--stack", "lpatop"], 2, "Did you mean `laptop`?"],
    [["rnu"], 2, "espalier run"],
    [["runs", "show", "nope"], 6, "espalier runs list"],
    [["up", "--port", "99999"], 2, "--port"],
    [["up", "--port", "0", "--host", "0.0.0.0"], 4, "espalier token create"],
    [["dataset", "log", "d", "../rows.csv"], 2, "not a path of the project"],
    [["dataset", "log", "d", ".espalier/owner.json"], 2, "not for data"],
    [["dataset", "log", "../d", "rows.csv"], 2, "name"],
  ];
  for (const [words, code, part] of table) {
    const said = await espalier(folder, ...words);
    expect(said.text).toContain(part);
    expect(said.code, said.text).toBe(code);
  }
  expect((await espalier(folder, "runs", "list")).text).toContain("No runs yet");
});

test("a dataset is never written over the project itself", async () => {
  const folder = makeProject({ "rows.csv": "a\n1\n" });
  expect((await espalier(folder, "dataset", "log", "d", "rows.csv")).code).toBe(0);
  for (const path of [".", ".espalier/record.db", "espalier.yaml", "pipelines/p.yaml", ".git/hooks/pre-commit", "/x"]) {
    const said = await espalier(folder, "dataset", "checkout", "d", path, "--overwrite");
    expect(said.code, said.text).toBe(2);
  }
  expect((await espalier(folder, "dataset", "show", "d")).code).toBe(0);
});
