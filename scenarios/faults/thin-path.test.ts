import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PipelineIr, RunOptions, StepRow } from "@espalier/core";
import { createLocalFiles } from "@espalier/embedded";
import { createPythonEnvironments, prepareRun } from "@espalier/host";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openPlane, type Plane, writeProject } from "./plane.ts";

let folder: string;
let plane: Plane;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "espalier-thin-"));
  writeProject(folder, {
    "data/rows.csv": "a,b\n1,2\n3,4\n",
    "src/count.sh": "wc -l <$1\n",
    "src/notes.log": "not part of the snapshot\n",
    "src/.gitignore": "*.log\n",
  });
  plane = await openPlane(folder);
});
afterEach(async () => {
  await plane.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(
  steps: PipelineIr["steps"],
  params: PipelineIr["params"] = {},
  options: RunOptions = {},
): Promise<{
  id: string;
  states: Record<string, string>;
  rows: Record<string, StepRow>;
}> {
  const prepared = await prepareRun(
    {
      projectFolder: folder,
      stateFolder: plane.stateFolder,
      pipeline: { ir: 1, name: "thin", params, steps },
      params: {},
      stack: "laptop",
      trigger: { kind: "manual", by: "test" },
      options,
    },
    {
      artifacts: plane.artifacts,
      files: createLocalFiles(),
      builtins: {},
      environments: createPythonEnvironments(),
      resolve: async () => null,
    },
  );
  await plane.record.engine.createRun(prepared);
  await plane.engine.start();
  plane.engine.wake(prepared.id);
  await plane.engine.finished(prepared.id);
  const stored = await plane.record.engine.steps(prepared.id);
  return {
    id: prepared.id,
    states: Object.fromEntries(stored.filter((row) => row.branch < 0).map((row) => [row.step, row.state])),
    rows: Object.fromEntries(stored.filter((row) => row.branch < 0).map((row) => [row.step, row])),
  };
}

const read = async (row: StepRow | undefined, output: string): Promise<string> => {
  const ref = row?.outputs?.[output];
  if (!ref) throw new Error(`no output ${output}`);
  return Buffer.from(await plane.artifacts.readBytes(ref, undefined, 1 << 20)).toString("utf8");
};

test("shell steps read and write by the step contract; the second run is cached", async () => {
  const steps: PipelineIr["steps"] = {
    count: {
      run: "sh count.sh ${{ inputs.rows }} >${{ outputs.n }} && ls -a >${{ outputs.seen }}",
      source: "./src",
      inputs: { rows: "./data/rows.csv" },
      outputs: { n: { type: "value" }, seen: { type: "file" } },
    },
    double: {
      run: 'echo $(( $(cat ${{ inputs.n }}) * 2 )) >${{ outputs.n }}; echo \'{"type":"metric","key":"twice","value":6}\' >>$ESPALIER_EVENTS',
      inputs: { n: "count.n" },
      outputs: { n: { type: "value" } },
    },
    say: { run: "printf %s ${{ params.word }} >${{ outputs.out }}", outputs: { out: { type: "file" } } },
  };
  const first = await run(steps, { word: 'it\'s $(id) "quoted"' });
  expect(first.states).toEqual({ count: "succeeded", double: "succeeded", say: "succeeded" });
  expect(first.rows.double?.values).toEqual({ n: 6 });
  expect(await read(first.rows.say, "out")).toBe('it\'s $(id) "quoted"');
  expect(await read(first.rows.count, "seen")).toBe(".\n..\n.gitignore\ncount.sh\n");
  const second = await run(steps, { word: 'it\'s $(id) "quoted"' });
  expect(second.states).toEqual({ count: "cached", double: "cached", say: "cached" });
  // Folders are removed in the background.
  await expect.poll(() => readdirSync(join(plane.stateFolder, "attempts"))).toEqual([]);
});

test("a failing step tells its exit code and the tail of its log; secrets are masked", async () => {
  const { id, rows } = await run({
    bad: {
      run: "echo the word is $GREETING; no-such-program",
      secrets: ["GREETING"],
      outputs: { x: { type: "file" } },
    },
    lazy: { run: "true", outputs: { x: { type: "file" } } },
    half: { run: "printf PAR1 >${{ outputs.x }}", outputs: { x: { type: "parquet" } } },
  });
  expect(rows.bad?.error?.details).toMatchObject({ exitCode: 127 });
  expect(rows.bad?.error?.hint).toContain("127");
  const tail = String(rows.bad?.error?.details.logTail);
  expect(tail).toContain("the word is **************");
  expect(tail).toContain("no-such-program");
  const attempt = (await plane.record.engine.attempts(id)).find((one) => one.step === "bad");
  const log = attempt?.log ? Buffer.from(await plane.artifacts.readBytes(attempt.log, undefined, 9999)).toString() : "";
  expect(log).not.toContain("hush");
  expect(rows.lazy?.error?.message).toContain("left no output x");
  expect(rows.half?.error?.message).toContain("not a whole Parquet file");
});

test("a map gathers its branches into a tree", async () => {
  const { states, rows } = await run({
    split: { run: 'echo \'["x","y","z"]\' >${{ outputs.parts }}', outputs: { parts: { type: "value" } } },
    each: {
      run: "printf %s ${{ params.part }} >${{ outputs.out }}",
      map: { over: "split.parts", as: "part" },
      outputs: { out: { type: "file" } },
    },
    join: {
      run: "cat ${{ inputs.all }}/* >${{ outputs.out }}",
      inputs: { all: "each.out" },
      outputs: { out: { type: "file" } },
    },
  });
  expect(states).toEqual({ split: "succeeded", each: "succeeded", join: "succeeded" });
  expect(await read(rows.join, "out")).toBe("xyz");
});

test("a checkpoint outlives attempts", async () => {
  const { states, rows } = await run({
    train: {
      run: "echo try >>${{ checkpoint.dir }}/tries; [ $(wc -l <${{ checkpoint.dir }}/tries) -ge 2 ] && cp ${{ checkpoint.dir }}/tries ${{ outputs.out }}",
      checkpoint: true,
      retry: { attempts: 2 },
      outputs: { out: { type: "file" } },
    },
  });
  expect(states).toEqual({ train: "succeeded" });
  expect(await read(rows.train, "out")).toBe("try\ntry\n");
});

test("a timeout ends a step that ignores SIGTERM", async () => {
  const { rows } = await run({ stubborn: { run: "trap '' TERM; while :; do sleep 1; done", timeoutSeconds: 0.2 } });
  expect(rows.stubborn?.state).toBe("failed");
  expect(rows.stubborn?.reason).toContain("timeout");
});
