import { pipelineDigest } from "@espalier/core";
import { afterEach, expect, test } from "vitest";
import { findPipeline, loadPipelines, wholePipeline } from "./pipelines.ts";
import { temporaryProject } from "./testing/temporary-project.ts";
import { parseYamlPipeline } from "./yaml-pipeline.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});
async function project(files: Record<string, string>): Promise<string> {
  const { directory, close } = await temporaryProject(files);
  closers.push(close);
  return directory;
}

const yaml = `
name: flights
params: { late_minutes: 15, mode: full }
schedule: { cron: "0 3 * * 1", timezone: Europe/Madrid, catch_up: true }
steps:
  ingest:
    uses: dataset
    inputs: { file: ./data/rows.parquet }
    with: { name: flights }
  features:
    uses: sql
    inputs: { flights: ingest.dataset, script: ./sql/features.sql }
    params: [late_minutes]
    outputs: { train: parquet, test: { type: parquet } }
  profile:
    uses: ./steps/profile.ts#profile
    inputs: { rows: features.train }
    outputs: { report: value, plot: file }
    params: [late_minutes]
  train:
    run: python train.py --data \${{ inputs.train }} --out \${{ outputs.model }}
    source: ./src
    environment: { python: ./requirements.txt, python_version: "3.12" }
    inputs: { train: features.train, report: profile.report }
    outputs: { model: { type: model, determinism: exact } }
    compute: train
    resources: { cpu: 2, memory: 4Gi }
    retry: { attempts: 2, causes: [lost, exit], delay: 10s }
    timeout: 30m
    needs: [ingest]
`;

const typescript = `
import { definePipeline } from "@espalier/core";
import { profile } from "../steps/profile.ts";

export const pipeline = definePipeline(
  {
    name: "flights",
    params: { late_minutes: 15, mode: "full" },
    schedule: { cron: "0 3 * * 1", timezone: "Europe/Madrid", catchUp: true },
  },
  (p) => {
    const ingest = p.step("ingest", { uses: "dataset", inputs: { file: "./data/rows.parquet" }, with: { name: "flights" } });
    const features = p.step("features", {
      uses: "sql",
      inputs: { flights: ingest.outputs.dataset, script: "./sql/features.sql" },
      params: ["late_minutes"],
      outputs: { train: "parquet", test: "parquet" },
    });
    const profiled = p.step("profile", { uses: profile, inputs: { rows: features.outputs.train } });
    p.step("train", {
      run: "python train.py --data \${{ inputs.train }} --out \${{ outputs.model }}",
      source: "./src",
      environment: { python: "./requirements.txt", pythonVersion: "3.12" },
      inputs: { train: features.outputs.train, report: profiled.outputs.report },
      outputs: { model: { type: "model", determinism: "exact" } },
      compute: "train",
      resources: { cpu: 2, memory: "4Gi" },
      retry: { attempts: 2, causes: ["exit", "lost"], delay: 10 },
      timeout: 1800,
      needs: [ingest],
    });
  },
);
`;

const step = `
import { defineStep } from "@espalier/core";
export const profile = defineStep(
  import.meta.url,
  { inputs: { rows: "parquet" }, outputs: { report: "value", plot: "file" }, params: { late_minutes: "number" } },
  async ({ params }) => ({ report: { late: params.late_minutes } }),
);
`;

test("a pipeline in YAML and the same one in TypeScript have one digest", async () => {
  const directory = await project({
    "pipelines/flights.yaml": yaml,
    "pipelines/typed.ts": typescript,
    "steps/profile.ts": step,
  });
  const [fromYaml, fromTypescript] = (await loadPipelines(directory)).map(wholePipeline);
  expect(fromTypescript).toEqual(fromYaml);
  if (fromYaml === undefined || fromTypescript === undefined) throw new Error("two pipelines");
  expect(pipelineDigest(fromTypescript)).toBe(pipelineDigest(fromYaml));
  expect(fromYaml.steps["train"]).toMatchObject({ timeoutSeconds: 1800, resources: { memoryBytes: 4 * 1024 ** 3 } });
  expect(fromYaml.steps["profile"]?.source).toBe("./steps");
});

test("pointers into the IR lead to line and column, also where a name differs", () => {
  const parsed = parseYamlPipeline(yaml, "pipelines/flights.yaml");
  expect(parsed.locate("/steps/train/timeoutSeconds")).toBe("pipelines/flights.yaml:29:5");
  expect(parsed.locate("/steps/train/retry/delaySeconds")).toBe("pipelines/flights.yaml:28:49");
  expect(parsed.locate("/steps/train/secrets")).toBe("pipelines/flights.yaml:20:3");
  expect(parsed.locate("/schedule/catchUp")).toBe("pipelines/flights.yaml:4:57");
});

test("every fault of shape is told at once, with its place", () => {
  const parsed = parseYamlPipeline(
    `name: Flights
steps:
  train:
    rnu: python train.py
    inputs: [a]
    timeout: soon
    outputs: { model: modell, Bad: file }
    retry: { attempts: 0, delay: 1w }
    environment: { python: 3, pythn_version: "3" }
  other:
    run: "true"
    params: { a: 1 }
    resources: { memory: much }
`,
    "pipelines/x.yaml",
  );
  expect(
    parsed.faults.map((fault) => `${fault.at?.replace("pipelines/x.yaml:", "")} ${fault.check} ${fault.pointer}`),
  ).toEqual([
    "1:1 wrong-value /name",
    "4:5 unknown-key /steps/train/rnu",
    "5:5 wrong-type /steps/train/inputs",
    "6:5 wrong-value /steps/train/timeout",
    "7:16 wrong-value /steps/train/outputs/model",
    "7:31 name /steps/train/outputs/Bad",
    "8:14 wrong-value /steps/train/retry/attempts",
    "8:27 wrong-value /steps/train/retry/delay",
    "9:20 wrong-type /steps/train/environment/python",
    "9:31 unknown-key /steps/train/environment/pythn_version",
    "12:5 wrong-type /steps/other/params",
    "13:18 wrong-value /steps/other/resources/memory",
  ]);
  expect(parsed.faults.find((fault) => fault.pointer.endsWith("rnu"))?.hint).toBe("Did you mean `run`?");
  expect(parsed.pipeline?.steps["other"]?.run).toBe("true");
});

test("YAML that does not parse, a key twice, an empty file", () => {
  expect(parseYamlPipeline("a: [1", "p.yaml").faults[0]).toMatchObject({ check: "yaml", at: "p.yaml:1:6" });
  expect(parseYamlPipeline("name: a\nname: b\nsteps: {}", "p.yaml").faults[0]).toMatchObject({ at: "p.yaml:2:1" });
  expect(parseYamlPipeline("", "p.yaml").faults.map((fault) => fault.check)).toEqual(["missing-key", "missing-key"]);
});

test("what a TypeScript file does wrong is told with its place", async () => {
  const directory = await project({
    "pipelines/broken.ts": "export const = 1;\n",
    "pipelines/empty.ts": "export const x = 1;\n",
    "pipelines/hidden.ts": `import { definePipeline, defineStep } from "@espalier/core";
const s = defineStep(import.meta.url, {}, () => undefined);
export const pipeline = definePipeline({ name: "hidden" }, (p) => { p.step("s", { uses: s, inputs: {} }); });
`,
    "pipelines/throws.ts": 'throw new Error("no luck");\n',
  });
  const faults = (await loadPipelines(directory)).map((parsed) => [
    parsed.file,
    parsed.faults[0]?.message,
    parsed.faults[0]?.at,
  ]);
  expect(faults).toEqual([
    [
      "pipelines/broken.ts",
      expect.stringContaining("can not be loaded"),
      expect.stringContaining("pipelines/broken.ts"),
    ],
    ["pipelines/empty.ts", "pipelines/empty.ts exports no pipeline", "pipelines/empty.ts"],
    ["pipelines/hidden.ts", expect.stringContaining("does not export a step"), "./pipelines/hidden.ts"],
    ["pipelines/throws.ts", "can not be loaded: no luck", "pipelines/throws.ts:1:7"],
  ]);
});

test("a pipeline is found by file, path and name; a misspelt one gets a guess", async () => {
  const directory = await project({ "pipelines/train.yaml": "name: flights\nsteps: { a: { run: 'true' } }\n" });
  for (const wanted of ["train", "flights", "pipelines/train.yaml", "./pipelines/train.yaml"]) {
    expect((await findPipeline(directory, wanted)).file).toBe("pipelines/train.yaml");
  }
  await expect(findPipeline(directory, "trian")).rejects.toMatchObject({
    code: "NOT_FOUND",
    hint: "Did you mean `train`?",
  });
});
