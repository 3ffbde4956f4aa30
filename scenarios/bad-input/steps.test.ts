import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ErrorCode } from "@espalier/core";
import { expect, test } from "vitest";
import { espalier, makeProject, pipeline, start } from "./command-line.ts";

const half = new Uint8Array(Buffer.from("PAR1 and the rest is missing"));

const cases: [name: string, step: string, code: ErrorCode, words: string[]][] = [
  ["no_script", '{ run: "cat train.py", source: ./src }', "STEP_FAILED", ["source:"]],
  ["no_program", '{ run: "no-such-program" }', "STEP_FAILED", ["exit code 127"]],
  ["no_output", '{ run: "true", outputs: { o: file } }', "STEP_FAILED", ["left no output o"]],
  ["no_folder", '{ run: "echo x >${{ outputs.o }}", outputs: { o: tree } }', "STEP_FAILED", ["not a tree"]],
  [
    "pipe",
    '{ run: "mkfifo ${{ outputs.o }}", outputs: { o: parquet } }',
    "STEP_FAILED",
    ["neither a file nor a folder"],
  ],
  ["link", '{ run: "ln -s /etc/hostname ${{ outputs.o }}", outputs: { o: file } }', "STEP_FAILED", ["cp -L"]],
  [
    "tree_link",
    '{ run: "mkdir ${{ outputs.o }}; ln -s / ${{ outputs.o }}/up", outputs: { o: tree } }',
    "STEP_FAILED",
    ["Output o: o/up is a symlink"],
  ],
  ["no_json", '{ run: "echo {x >${{ outputs.o }}", outputs: { o: value } }', "STEP_FAILED", ["not valid JSON"]],
  [
    "half_output",
    '{ run: "printf PAR1 >${{ outputs.o }}", outputs: { o: parquet } }',
    "STEP_FAILED",
    ["not a whole Parquet"],
  ],
  [
    "half_dataset",
    "{ uses: dataset, inputs: { file: ./half.parquet }, with: { name: d } }",
    "INVALID_DATA",
    ["damaged or incomplete"],
  ],
  ["timeout", '{ run: "sleep 60", timeout: 1s }', "STEP_FAILED", ["longer than its timeout of 1 s"]],
  ["no_secret", '{ run: "true", secrets: [NO_SUCH_SECRET] }', "NOT_FOUND", ["espalier secret set NO_SUCH_SECRET"]],
];

test("each bad step tells its place and the next step, and nothing of it is published", async () => {
  const folder = makeProject({
    "src/other.py": "",
    "half.parquet": half,
    "pipelines/p.yaml": pipeline(
      "p",
      cases.map(([name, step]) => `  ${name}: ${step}\n  after_${name}: { run: "true", needs: [${name}] }`).join("\n"),
    ),
  });
  const said = await espalier(folder, "run");
  expect(said.code, said.text).toBe(1);
  expect(said.text).toContain("espalier resume");
  const { steps } = JSON.parse((await espalier(folder, "runs", "show", "latest", "--json")).text) as Shown;
  for (const [name, , code, words] of cases) {
    const step = steps.find((row) => row.step === name);
    expect(step, name).toMatchObject({ state: "failed", error: { code, at: expect.stringContaining(name) } });
    for (const word of words) expect(JSON.stringify(step?.error)).toContain(word);
    expect(steps.find((row) => row.step === `after_${name}`)?.state).toBe("skipped");
  }
  expect((await espalier(folder, "dataset", "list")).text).toContain("No datasets yet");
});

interface Shown {
  steps: { step: string; state: string; error?: Record<string, unknown> }[];
}

test("a secret's value is in no log, event or record", async () => {
  const value = 'hush-"quoted"-and-long';
  const print = "import os, json; print(json.dumps({'type': 'note', 'text': os.environ['KEY']}))";
  const folder = makeProject({
    "src/tell.py": print,
    "pipelines/p.yaml": pipeline(
      "p",
      '  tells: { run: "python3 tell.py >>$ESPALIER_EVENTS; echo $KEY", source: ./src, secrets: [KEY] }\n  fails: { run: "python3 tell.py >>$ESPALIER_EVENTS; echo $KEY; exit 3", source: ./src, secrets: [KEY], needs: [tells] }',
    ),
  });
  expect((await start(folder, ["secret", "set", "KEY"], value).ended).code).toBe(0);
  const said = await espalier(folder, "run");
  expect(said.code, said.text).toBe(1);
  expect(said.text).toContain("*".repeat(value.length));
  const state = join(folder, ".espalier");
  const holders = readdirSync(state, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes("hush-"));
  expect(holders).toEqual([join(state, "secrets", "KEY")]);
});
