import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createArtifacts, digestOfBytes, stepVariables } from "@espalier/core";
import { createFilesystemArtifactStore, createLocalFiles } from "@espalier/embedded";
import { createPythonEnvironments, entryPoint, platformName } from "@espalier/host";

/**
 * `node scenarios/determinism.ts [--runs 10]`: runs the features and train steps of the flights example that often, half of them at one
 * thread and half at two, as a runner would start them, and compares the digests of what they write. Exit 1 when there is more than one.
 */
const { values: options } = parseArgs({ options: { runs: { type: "string", default: "10" } } });
const example = resolve(import.meta.dirname, "../examples/flights-delay");
const data = resolve(import.meta.dirname, "../node_modules/vega-datasets/data/flights-3m.parquet");
const work = await mkdtemp(join(tmpdir(), "espalier-determinism-"));
const seen = new Map<string, Map<string, number>>();

function note(what: string, digest: string): void {
  const digests = seen.get(what) ?? new Map<string, number>();
  seen.set(what, digests.set(digest, (digests.get(digest) ?? 0) + 1));
}

function run(command: string, words: string[], variables: Record<string, string>): void {
  const result = spawnSync(command, words, { env: { ...process.env, ...variables }, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${command} ${words.join(" ")}: ${result.stderr}`);
}

async function builtin(name: string, inputs: Record<string, string>, outputs: string, params: object, names: string[]) {
  const folder = `${outputs}.inputs`;
  await mkdir(folder, { recursive: true });
  for (const [input, path] of Object.entries(inputs)) run("cp", [path, join(folder, input)], {});
  run(process.execPath, [entryPoint("builtin-step"), name], {
    [stepVariables.inputs]: folder,
    [stepVariables.outputs]: outputs,
    [stepVariables.params]: JSON.stringify(params),
    [stepVariables.outputNames]: JSON.stringify(names),
  });
  await rm(folder, { recursive: true });
}

const store = createFilesystemArtifactStore({ path: join(work, "store") });
const artifacts = createArtifacts(store, createLocalFiles());
const lock = await readFile(join(example, `requirements.lock.${platformName()}.txt`), "utf8");
const python = join(await createPythonEnvironments().bin(lock, undefined), "python");
try {
  const valid = join(work, "valid");
  await builtin("validate", { data, rules: join(example, "rules/flights.yaml") }, valid, {}, ["data"]);
  const count = Number(options.runs);
  for (let index = 0; index < count; index++) {
    const threads = String(1 + (index % 2));
    const features = join(work, `features-${index}`);
    const params = { as_of: "2001-04-03", late_minutes: 15, label_delay_days: 2, test_days: 31, train_days: 59 };
    const inputs = { flights: join(valid, "data"), script: join(example, "sql/features.sql") };
    await builtin("sql", inputs, features, { ...params, break_feature: false }, ["train", "test"]);
    for (const table of ["train", "test"]) {
      note(`features.${table}`, digestOfBytes(await readFile(join(features, table))));
    }
    const model = join(work, `model-${index}`);
    const train = ["--data", join(features, "train"), "--learning-rate", "0.1", "--trees", "60", "--out", model];
    run(python, [join(example, "src/train.py"), ...train], { OMP_NUM_THREADS: threads });
    note("train.model", (await artifacts.putTree(model, "model")).digest);
    await rm(features, { recursive: true });
    console.log(`${index + 1}/${count} at ${threads} ${threads === "1" ? "thread" : "threads"}`);
  }
  for (const [what, digests] of seen) {
    for (const [digest, times] of digests) console.log(`${what}  ${times}x  ${digest}`);
  }
  if ([...seen.values()].some((digests) => digests.size > 1)) process.exitCode = 1;
} finally {
  await rm(work, { recursive: true, force: true });
}
