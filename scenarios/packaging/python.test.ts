import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { logModels } from "../python-models/models.ts";
import { type PackagingProject, packagingProject } from "./project.ts";
import { writePythonBase } from "./python-base.ts";

/** Set by `npm run test:servers -- packages`. */
const { ESPALIER_TEST_PODMAN: podman, ESPALIER_TEST_PODMAN_SKIPPED: skipped } = process.env;
const environment = { ...process.env, ...(JSON.parse(podman ?? "{}") as Record<string, string>) };
const reason =
  podman === undefined ? ` (skipped: ${skipped ?? "npm run test:servers -- packages prepares Podman"})` : "";

function run(program: string, ...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, { env: environment, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${words.join(" ")} ended with ${status}: ${stderr}`);
  return stdout.trim();
}

describe.skipIf(podman === undefined)(`a model that only Python runs${reason}`, () => {
  let project: PackagingProject;
  let python: string;
  let example: string;

  beforeAll(async () => {
    const models = await logModels();
    if ("skipped" in models) throw new Error(models.skipped);
    project = await packagingProject();
    python = models.python;
    const folder = join(project.folder, "models/logged");
    mkdirSync(folder);
    cpSync(models.folder("pipeline"), join(folder, "mlflow"), { recursive: true });
    writeFileSync(
      join(folder, "signature.json"),
      JSON.stringify({
        format: "mlflow",
        payload: "mlflow",
        inputs: [
          { name: "origin", type: "string" },
          { name: "miles", type: "long" },
          { name: "late", type: "boolean" },
        ],
        outputs: [{ name: "output", type: "double" }],
      }),
    );
    example = readFileSync(join(folder, "mlflow/serving_input_example.json"), "utf8");
    await models.remove();
    expect((await project.espalier(["run", "train", "-p", "which=logged"])).code).toBe(0);
    await writePythonBase(join(project.folder, "base"), python);
  }, 900_000);
  afterAll(() => project?.close(), 120_000);

  test("runs in an image whose base has Python and what the model needs", async () => {
    await project.pack([
      "clicks@latest",
      "--output",
      "python-image",
      "--tag",
      "1",
      "--base",
      "oci:base:python",
      "--python",
      python,
    ]);
    const id = run("podman", "pull", "--quiet", `oci:${join(project.folder, "python-image")}:1`);
    const name = run("podman", "run", "--detach", "--publish=127.0.0.1::8080", id);
    try {
      const url = `http://${run("podman", "port", name, "8080")}`;
      await ready(`${url}/ping`, name);
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${url}/invocations`, { method: "POST", headers, body: example });
      const answer = (await response.json()) as { predictions: number[] };
      expect([response.status, answer]).toEqual([200, { predictions: expect.any(Array) }]);
      expect(answer.predictions[0]).toBeCloseTo(1, 6);
    } finally {
      run("podman", "rm", "--force", "--time", "0", name);
      rmSync(join(project.folder, "python-image"), { recursive: true });
    }
  });
});

async function ready(url: string, name: string): Promise<void> {
  for (const deadline = Date.now() + 120_000; Date.now() < deadline; await pause(200)) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.status === 200) return;
  }
  throw new Error(`It did not get ready: ${run("podman", "logs", name)}`);
}
