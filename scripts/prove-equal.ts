import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createClient, type RunArtifact } from "@espalier/contract";
import { digestOfBytes, type OutputIr, type PipelineIr, ulid } from "@espalier/core";
import { dataBuiltins } from "@espalier/embedded";
import { startControlPlane } from "@espalier/server";
import { parseDocument } from "yaml";
import { compare, type Verdict } from "./prove/compare-outputs.ts";
import { knownStacks, startStack, type TriedStack } from "./prove/stack-servers.ts";

/**
 * `npm run prove:equal -- laptop servers`: the flights pipeline on two stacks with real servers, each in a fresh project of which only
 * `espalier.yaml` differs. Exact outputs must be equal by digest, equivalent ones within their tolerance; the rest is listed. Exit 1 otherwise.
 */
const root = resolve(import.meta.dirname, "..");
const example = join(root, "examples/flights-delay");
const { positionals } = parseArgs({ allowPositionals: true });
const [first = "", second = ""] = positionals;
for (const name of [first, second]) {
  if (knownStacks.includes(name)) continue;
  console.error(`usage: npm run prove:equal -- <stack> <stack>; the stacks are ${knownStacks.join(", ")}`);
  process.exit(2);
}
const work = mkdtempSync(join(tmpdir(), "espalier-prove-"));

interface Ran {
  pipeline: PipelineIr;
  artifacts: RunArtifact[];
  metrics: ReadonlyMap<string, number>;
  projectDirectory: string;
  seconds: number;
  where: readonly string[];
}

function makeProject(name: string, stack: TriedStack): string {
  const folder = join(work, name, "flights-delay");
  cpSync(example, folder, { recursive: true });
  mkdirSync(join(folder, "data"));
  copyFileSync(
    join(root, "node_modules/vega-datasets/data/flights-3m.parquet"),
    join(folder, "data/flights-3m.parquet"),
  );
  const document = parseDocument(readFileSync(join(folder, "espalier.yaml"), "utf8"));
  document.setIn(["default_stack"], name);
  document.setIn(["stacks", name], document.createNode(stack.choices));
  const port = stack.controlPlanePort;
  if (port !== undefined)
    document.setIn(["control_plane"], document.createNode({ url: `http://127.0.0.1:${port}`, port }));
  writeFileSync(join(folder, "espalier.yaml"), document.toString());
  return folder;
}

async function runOn(name: string, stack: TriedStack): Promise<Ran> {
  Object.assign(process.env, stack.variables);
  const projectDirectory = makeProject(name, stack);
  const plane = await startControlPlane({ projectDirectory, databaseUrl: stack.databaseUrl, stack: name });
  try {
    const client = createClient({ url: plane.url, token: plane.token });
    const id = ulid();
    const started = Date.now();
    await client.call("runs.create", { body: { id, pipeline: "train", stack: name } });
    for await (const { data } of client.events("runs.events", { params: { runId: id } })) {
      if (data.type.startsWith("step.")) process.stderr.write(`${name}: ${data.step ?? ""} ${data.type.slice(5)}\n`);
    }
    const { run, attempts } = await client.call("runs.get", { params: { runId: id } });
    if (run.state !== "succeeded") throw new Error(`on ${name} the run ${run.state}: ${JSON.stringify(run.error)}`);
    const pipeline = (await client.call("runs.pipeline", { params: { runId: id } })).ir as PipelineIr;
    const artifacts = (await client.call("artifacts.ofRun", { params: { runId: id }, query: { limit: 200 } })).items;
    const points = (await client.call("runs.metrics", { params: { runId: id }, query: { limit: 1000 } })).items;
    const metrics = new Map(points.map((point) => [`${point.stepName} ${point.key}`, Number(point.value)]));
    await client.call("endpoints.delete", { params: { name: "flights" } });
    for (const { step, output, artifact } of artifacts) {
      if (declaredOf(pipeline, step, output).determinism !== "equivalent") continue;
      const query = { type: artifact.type } as const;
      const bytes = await client.bytes("artifacts.download", { params: { digest: artifact.digest }, query });
      writeFileSync(contentOf(name, step, output), Buffer.from(await new Response(bytes).arrayBuffer()));
    }
    return {
      ...{ pipeline, artifacts, metrics, projectDirectory },
      seconds: (Date.now() - started) / 1_000,
      where: attempts.flatMap(({ tool, step }) => (tool.startsWith("embedded/") ? [] : [`${step} on ${tool}`])),
    };
  } finally {
    await plane.close();
  }
}

const contentOf = (stack: string, step: string, output: string): string => join(work, `${stack}-${step}.${output}`);

/** Files of both projects that are not equal; what a run makes of its own accord left out. */
function differingFiles(one: string, other: string): string[] {
  const filesOf = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
      .filter((path) => !path.startsWith(".espalier"));
  const read = (folder: string, path: string): string => {
    const whole = join(folder, path);
    return existsSync(whole) ? digestOfBytes(readFileSync(whole)) : "";
  };
  const paths = new Set([...filesOf(one), ...filesOf(other)]);
  return [...paths].filter((path) => read(one, path) !== read(other, path)).sort();
}

/** Built-in steps promise exactness unless their declaration says otherwise; what the record makes holds ids and times of its own. */
function declaredOf(pipeline: PipelineIr, step: string, output: string): Pick<OutputIr, "determinism"> {
  const { uses, outputs = {} } = pipeline.steps[step] ?? {};
  const declared = outputs[output];
  if (declared?.determinism !== undefined) return declared;
  const isData = dataBuiltins.some(({ name }) => name === uses);
  return { ...declared, determinism: isData || uses === "dataset" ? "exact" : "none" };
}

async function prove(): Promise<boolean> {
  const runs: Ran[] = [];
  for (const name of [first, second]) {
    const stack = await startStack(name, join(work, name));
    if ("skipped" in stack) throw new Error(`the stack ${name} can not be started here: ${stack.skipped}`);
    try {
      console.log(
        `${name}: ${Object.entries(stack.servers)
          .map((pair) => pair.join(": "))
          .join("; ")}`,
      );
      runs.push(await runOn(name, stack));
    } finally {
      await stack.stop();
    }
  }
  const [one, other] = runs as [Ran, Ran];
  console.log(`\nseconds: ${first} ${one.seconds.toFixed(1)}, ${second} ${other.seconds.toFixed(1)}`);
  for (const [index, name] of [first, second].entries()) {
    const where = runs[index]?.where ?? [];
    if (where.length > 0) console.log(`${name}: ${where.join(", ")}`);
  }
  const keys = new Set([...one.artifacts, ...other.artifacts].map(({ step, output }) => `${step}.${output}`));
  const verdicts: Verdict[] = [];
  for (const name of keys) {
    const find = (ran: Ran): RunArtifact | undefined =>
      ran.artifacts.find(({ step, output }) => `${step}.${output}` === name);
    const [left, right] = [find(one), find(other)];
    const [step = "", output = ""] = name.split(".");
    verdicts.push(
      await compare({
        name,
        declared: declaredOf(one.pipeline, step, output),
        refs: [left?.artifact, right?.artifact],
        paths: [contentOf(first, step, output), contentOf(second, step, output)],
      }),
    );
  }
  console.table(Object.fromEntries(verdicts.map(({ name, ...rest }) => [name, rest])));
  console.log("\nmetrics");
  const table: Record<string, object> = {};
  for (const key of new Set([...one.metrics.keys(), ...other.metrics.keys()])) {
    const [a, b] = [one.metrics.get(key), other.metrics.get(key)];
    table[key] = { [first]: a, [second]: b, difference: a === undefined || b === undefined ? "missing" : b - a };
  }
  console.table(table);
  const bad = verdicts.filter(({ verdict }) => verdict === "differs" || verdict === "missing");
  const files = differingFiles(one.projectDirectory, other.projectDirectory);
  console.log(`files that differ between the two projects: ${files.join(", ") || "none"}`);
  console.log(bad.length === 0 ? "equal" : `not equal: ${bad.map(({ name }) => name).join(", ")}`);
  return bad.length === 0 && files.every((file) => file === "espalier.yaml");
}

try {
  process.exitCode = (await prove()) ? 0 : 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
