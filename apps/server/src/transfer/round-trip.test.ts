import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Client, Transfer } from "@espalier/contract";
import type { SourceModel, SourceRun, TrackedSource } from "@espalier/core";
import { expect, test } from "vitest";
import { withoutMlflowVariables } from "../../../../scripts/servers/mlflow-environment.ts";
import { makeProject, startForTest } from "../testing/control-plane.ts";
import { openTrackedSource } from "./sources/open-source-of.ts";

const uri = process.env["ESPALIER_TEST_MLFLOW_URI"];
const python = process.env["ESPALIER_TEST_MLFLOW_PYTHON"];
const isTwo = process.env["ESPALIER_TEST_MLFLOW_VERSION"]?.startsWith("2.") === true;
const execute = promisify(execFile);
const runPython = (arguments_: string[], cwd: string) =>
  execute(python ?? "", arguments_, { cwd, env: { ...withoutMlflowVariables(), MLFLOW_ALLOW_FILE_STORE: "true" } });

async function end(client: Client, started: Transfer): Promise<Transfer> {
  let last = started;
  for await (const { data } of client.events("transfers.events", { params: { transferId: started.id } })) last = data;
  return last;
}

/** What must be equal of a run on both sides, by a name that both have. */
interface Shown {
  parent: string | undefined;
  status: string;
  lifecycle: string;
  params: object;
  tags: object;
  inputs: unknown;
  points: string[];
  files: string[];
}

async function filesOf(source: TrackedSource, owner: SourceRun | SourceModel): Promise<string[]> {
  const found: string[] = [];
  for await (const file of source.files(owner)) {
    const hash = createHash("sha256");
    for await (const chunk of await file.open()) hash.update(chunk);
    found.push(`${file.path} ${hash.digest("hex")}`);
  }
  return found.sort();
}

/** Tags that a server or our mirror adds, or that hold ids. */
const ownTags = /^espalier\.|^mlflow\.(parentRunId|log-model\.history)$/;

async function show(source: TrackedSource, prefix: string): Promise<Record<string, Shown>> {
  const shown: Record<string, Shown> = {};
  for await (const experiment of source.experiments()) {
    if (!experiment.name.startsWith(prefix)) continue;
    const names = new Map<string, string>();
    for await (const { run } of source.runs(experiment.id)) names.set(run.id, run.name);
    for await (const told of source.runs(experiment.id)) {
      const { run, params, tags, inputs } = told;
      const points: string[] = [];
      for await (const batch of source.points(told)) {
        for (const { key, value, step, timestamp } of batch) points.push(`${key} ${value} ${step} ${timestamp}`);
      }
      // Generated names differ from one training to the next only, so that both sides have the same.
      shown[`${experiment.name.slice(prefix.length)}/${run.name}`] = {
        parent: run.parentRunId === undefined ? undefined : names.get(run.parentRunId),
        status: run.status,
        lifecycle: run.lifecycle,
        params,
        tags: Object.fromEntries(Object.entries(tags).filter(([key]) => !ownTags.test(key))),
        inputs,
        points: [...new Set(points)].sort(),
        files: await filesOf(source, told),
      };
    }
    for await (const model of source.loggedModels(experiment.id)) {
      const { params, status, runId } = model.model;
      shown[`${experiment.name.slice(prefix.length)}/${names.get(runId ?? "")}/${model.model.name}`] = {
        parent: names.get(runId ?? ""),
        status,
        lifecycle: "active",
        params,
        tags: {},
        inputs: [],
        points: [],
        files: await filesOf(source, model),
      };
    }
  }
  return shown;
}

const predict = `
import sys, mlflow, numpy
mlflow.set_tracking_uri(sys.argv[1])
print(mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}@champion").predict(numpy.ones((3, 4))).tolist())
`;

for (const kind of ["file store", "database"] as const) {
  const name = `real training in a ${kind}, imported and exported again, is equal`;
  if (uri === undefined || python === undefined) {
    test.skip(`${name} (skipped: needs MLflow; \`npm run test:servers -- mlflow\` installs and starts it)`);
    continue;
  }
  test(name, async () => {
    const project = await makeProject({});
    const model = `delay-${randomUUID()}`;
    const store = kind === "file store" ? join(project, "mlruns") : join(project, "mlflow.db");
    const storeUri = kind === "file store" ? `file://${store}` : `sqlite:///${store}`;
    // Outside of this repository, whose commit MLflow would note: the server keeps the first source of a data set that it knows.
    await copyFile(join(import.meta.dirname, "testing/train.py"), join(project, "train.py"));
    await runPython(["train.py", storeUri, model], project);
    const { client, url } = await startForTest(project);
    const imported = await end(client, await client.call("transfers.import", { body: { source: store } }));
    expect(imported).toMatchObject({ state: "done" });
    const prefix = `${randomUUID()} `;
    const body = { target: uri, experimentPrefix: prefix };
    const exported = await end(client, await client.call("transfers.export", { body }));
    // MLflow 2 has no logged models, and an export says so; those of an MLflow 2 store are there all the same.
    expect(exported).toMatchObject({ state: "done" });

    const source = await openTrackedSource({ source: store });
    const target = await openTrackedSource({ source: uri });
    const [here, there] = [await show(source, ""), await show(target, prefix)];
    expect(Object.keys(there).sort()).toEqual(Object.keys(here).sort());
    expect(Object.keys(here).length).toBeGreaterThanOrEqual(isTwo ? 5 : 7);
    expect(there).toEqual(here);

    const versions = async (side: TrackedSource) => {
      const found = [];
      for await (const one of side.registeredModels()) {
        if (one.name !== model) continue;
        const { tags, aliases, description } = one;
        found.push({ tags, aliases, description });
        for await (const { version, stage, description: said, tags: own } of side.versions(model)) {
          const kept = Object.fromEntries(Object.entries(own).filter(([key]) => !ownTags.test(key)));
          found.push({ version, stage, said, kept });
        }
      }
      return found.sort((a, b) => (a.version ?? 0) - (b.version ?? 0));
    };
    expect(await versions(target)).toEqual(await versions(source));

    // And into a folder, which a stock MLflow reads: the same again, and the model answers.
    const left = join(project, "left");
    const leaving = await client.call("transfers.exportProject", { body: { folder: left } });
    expect(await end(client, leaving)).toMatchObject({ state: "done" });
    const folder = await openTrackedSource({ source: join(left, "mlruns") });
    expect(await show(folder, "")).toEqual(here);
    expect(await versions(folder)).toEqual(await versions(source));
    await source.close();
    await folder.close();

    const answers = await Promise.all(
      [storeUri, url, uri].map(async (one) => (await runPython(["-c", predict, one, model], project)).stdout.trim()),
    );
    expect(answers[0]).toMatch(/^\[\d, \d, \d\]$/);
    expect(answers[1]).toBe(answers[0]);
    expect(answers[2]).toBe(answers[0]);
    expect((await runPython(["-c", predict, "./mlruns", model], left)).stdout.trim()).toBe(answers[0]);
  }, 600_000);
}
