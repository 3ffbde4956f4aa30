import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "@espalier/contract";
import { startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const argo = process.env.ESPALIER_TEST_ARGO;
const folder = mkdtempSync(join(tmpdir(), "espalier-orchestrators-"));
const out = join(folder, "out");

const files = {
  "espalier.yaml": "project: flights_of.2001\ndefault_stack: staging\nstacks: { staging: {}, production: {} }\n",
  "pipelines/train.yaml": `name: train
params: { rows: 3, day: none, careful: true, gate: / }
schedule: { cron: "30 3 * * 1-5", timezone: Europe/Madrid, overlap: queue, catch_up: true, params: { day: "a \${{ run.date }} b" } }
steps:
  take_in: { run: "seq \${{ params.rows }} >\${{ outputs.rows }}; echo \${{ params.day }}", outputs: { rows: file } }
  many: { run: "echo \${{ params.item }}", map: { over: "[1, 2]", as: item }, resources: { cpu: 1 } }
  never: { run: "exit 1", when: "params.rows > 100" }
  behind: { run: "exit 1", needs: [never] }
  judge: { run: "test -e \${{ params.gate }}", inputs: { rows: take_in.rows }, timeout: 10m }
  last: { run: "cat \${{ inputs.rows }}", needs: [judge], inputs: { rows: take_in.rows } }
`,
  "pipelines/plain.yaml": 'name: plain\nsteps: { ask: { uses: approve, with: { question: "Go on?" } } }\n',
};

beforeAll(() => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function espalier(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [main, ...words], { cwd: folder, encoding: "utf8" });
}

test("a DAG is written with what it loses, kept as it was changed, and is Python", () => {
  const words = ["export", "airflow", "train", "--out", out, "--stack", "production"];
  const first = espalier(...words);
  expect(first).toMatchObject({ status: 0, stderr: "" });
  for (const lost of [
    "many: Branches and trials",
    "many: Compute",
    "judge: Retries",
    "espalier schedule pause train",
    "`catch_up`",
  ])
    expect(first.stdout).toContain(lost);
  expect(first.stdout).not.toContain("`overlap: skip`");
  expect(espalier(...words).stdout).toMatch(/^unchanged {2}.*espalier_train\.py\nunchanged {2}.*\nunchanged /);
  const path = join(out, "espalier_train.py");
  const text = readFileSync(path, "utf8");
  for (const line of [
    'dag_id="flights_of.2001.train"',
    'CronTriggerTimetable("30 3 * * 1-5", timezone="Europe/Madrid")',
    'params={"rows": 3, "day": "a <run.date> b", "careful": True, "gate": "/"}',
    '"last": ["take_in", "judge"]',
    '"stack": "production"',
  ])
    expect(text).toContain(line);
  writeFileSync(path, `${text}# mine\n`);
  const refused = espalier(...words);
  expect(refused.status).toBe(5);
  expect(refused.stderr).toContain("--force");
  const dated = espalier(...words, "--force", "--start-date", "2026-11-01", "--json");
  expect(
    JSON.parse(dated.stdout)
      .losses.map(({ what }: { what: string }) => what)
      .join(),
  ).not.toContain("catch_up");
  expect(readFileSync(path, "utf8")).toContain('start_date=datetime.fromisoformat("2026-11-01T00:00:00+00:00")');
  const compiled = spawnSync("python3", ["-m", "py_compile", path, join(out, "espalier_airflow.py")], {
    encoding: "utf8",
  });
  expect(compiled).toMatchObject({ status: 0, stderr: "" });
  expect(existsSync(join(out, "espalier_run.py"))).toBe(true);
});

test("bad words are refused with their place", () => {
  expect(espalier("export", "airflow", "train", "--out", out, "--start-date", "2026-02-30").stderr).toContain(
    "--start-date",
  );
  expect(espalier("export", "argo", "train", "--out", out, "--stack", "nowhere").stderr).toContain(
    "Known stacks: staging, production.",
  );
  expect(espalier("export", "argo", "nothing", "--out", out).stderr).toContain("nothing");
  expect(espalier("export", "argo", "train").stderr).toContain("--out");
});

interface ArgoDocument {
  kind: string;
  metadata: { name: string };
  // biome-ignore lint/suspicious/noExplicitAny: as YAML gives it.
  spec: any;
}

function exportedArgo(pipeline: string): ArgoDocument[] {
  const done = espalier("export", "argo", pipeline, "--out", out, "--force");
  expect(done).toMatchObject({ status: 0, stderr: "" });
  return parseAllDocuments(readFileSync(join(out, `espalier-${pipeline}.yaml`), "utf8")).map((one) => one.toJS());
}

test("a workflow has a task a step, and a schedule of its own", () => {
  const [template, cron, ...none] = exportedArgo("train");
  expect(none).toEqual([]);
  expect(template).toMatchObject({ kind: "WorkflowTemplate", metadata: { name: "flights-of-2001-train" } });
  const [pipeline, step] = template?.spec.templates ?? [];
  const tasks = pipeline.dag.tasks.map((task: { name: string; dependencies?: string[] }) => [
    task.name,
    task.dependencies,
  ]);
  expect(Object.fromEntries(tasks)).toMatchObject({ last: ["take-in", "judge"], Outcome: ["many", "behind", "last"] });
  // Argo would take double braces for its own.
  expect(step.script.source).not.toContain("{{");
  expect(cron).toMatchObject({
    kind: "CronWorkflow",
    spec: {
      schedules: ["30 3 * * 1-5"],
      timezone: "Europe/Madrid",
      concurrencyPolicy: "Allow",
      workflowSpec: { synchronization: { mutexes: [{ name: "flights-of-2001-train" }] } },
    },
  });
  expect(exportedArgo("plain").map(({ kind }) => kind)).toEqual(["WorkflowTemplate"]);
});

test.skipIf(argo === undefined)(
  `Argo's own linter takes both${argo === undefined ? " (skipped: needs argo; `npm run test:servers -- argo` builds it)" : ""}`,
  () => {
    for (const pipeline of ["train", "plain"]) {
      exportedArgo(pipeline);
      const path = join(out, `espalier-${pipeline}.yaml`);
      const lint = (): { status: number | null; stdout: string; stderr: string } =>
        spawnSync(argo ?? "", ["lint", "--offline", "--strict", path], { encoding: "utf8" });
      const { status, stdout, stderr } = lint();
      expect({ status, said: status === 0 ? "" : stdout + stderr }).toEqual({ status: 0, said: "" });
      writeFileSync(path, readFileSync(path, "utf8").replace("dag:", "dog:"));
      expect(lint().status).not.toBe(0);
    }
  },
);

/** What Argo would run: the program of the template, with its variables for one step. */
async function runStep(
  source: string,
  variables: Record<string, string>,
): Promise<{ status: number | null; text: string }> {
  const child = spawn("python3", ["-c", source], { env: { PATH: process.env.PATH ?? "", ...variables } });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
  await once(child, "close");
  return { status: child.exitCode, text };
}

test("the program of a task: steps share a run, a failure is told, a resumed one goes on", async () => {
  const [template] = exportedArgo("train");
  const plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", port: 0 });
  try {
    const gate = join(folder, "gate");
    const run = (step: string, more: Record<string, string> = {}) =>
      runStep(template?.spec.templates[1].script.source, {
        ...{ ESPALIER_URL: plane.url, ESPALIER_TOKEN: plane.token, ESPALIER_PIPELINE: "train", ESPALIER_KEY: "argo/x" },
        ...{
          ESPALIER_DATE: "2001-03-05T03:30:00+01:00",
          ESPALIER_PARAM_day: "on <run.date>",
          ESPALIER_PARAM_careful: "false",
        },
        ...{ ESPALIER_STEP: step, ESPALIER_PARAM_gate: gate },
        ...more,
      });
    expect(await run("take_in")).toMatchObject({ status: 0, text: expect.stringContaining("on 2001-03-05\n") });
    expect(await run("never")).toMatchObject({ status: 0, text: expect.stringContaining("skipped in run") });
    expect(await run("behind")).toMatchObject({ status: 0, text: expect.stringContaining("skipped in run") });
    expect(await run("judge")).toMatchObject({ status: 1, text: expect.stringContaining("Step judge of run") });
    expect(await run("last")).toMatchObject({ status: 1, text: expect.stringContaining("judge failed") });
    expect(await run("")).toMatchObject({ status: 1, text: expect.stringContaining("The whole of run") });
    const { client, list } = {
      client: createClient({ url: plane.url, token: plane.token }),
      list: "runs.list" as const,
    };
    const [first, ...none] = (await client.call(list, { query: {} })).items;
    expect(none).toEqual([]);
    expect(first).toMatchObject({ logicalDate: "2001-03-05T02:30:00.000Z", params: { careful: false, rows: 3 } });
    writeFileSync(gate, "");
    const resumed = await Promise.all([
      run("judge", { ESPALIER_RESUME: "yes" }),
      run("last", { ESPALIER_RESUME: "yes" }),
    ]);
    expect(resumed.map(({ status }) => status)).toEqual([0, 0]);
    expect(await run("")).toMatchObject({ status: 0 });
    expect((await client.call(list, { query: {} })).items).toHaveLength(2);
    const unknown = await run("no_such");
    expect(unknown).toMatchObject({
      status: 2,
      text: expect.stringContaining("has no step no_such; it has: behind, judge"),
    });
    expect(await run("last", { ESPALIER_TOKEN: "wrong" })).toMatchObject({ status: 2 });
    expect(await run("last", { ESPALIER_KEY: "" })).toMatchObject({ status: 2, text: "Not set: ESPALIER_KEY\n" });
  } finally {
    await plane.close();
  }
});
