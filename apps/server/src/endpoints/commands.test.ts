import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { expect, test } from "vitest";
import { startForTest } from "../testing/control-plane.ts";
import { champion, declare, projectWithModels, promote, register } from "./testing/declared-project.ts";

const writeModel = (folder: string, bias: number) =>
  writeModelFolder(folder, logisticModel([1, 1], bias), matrixSignature(["x0", "x1"]));

const main = resolve(import.meta.dirname, "../../../cli/src/main.ts");

async function espalier(
  project: string,
  ...words: string[]
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [main, ...words], {
    cwd: project,
    env: { ...process.env, NO_COLOR: "1", DATABASE_URL: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code, out, err };
}

test("plan and apply, with nothing running before or after", async () => {
  const project = await projectWithModels("modl: clicks@champion", writeModel);
  const run = (...words: string[]) => espalier(project, ...words);

  const misspelt = await run("plan");
  expect(misspelt.code).toBe(2);
  expect(misspelt.err).toContain("espalier.yaml:3:13: unknown key `modl`");

  await declare(project, champion);
  expect(await run("apply")).toMatchObject({ code: 6, err: expect.stringContaining("There is no model clicks") });
  const setUp = await startForTest(project);
  await register(setUp.client, "first");
  await setUp.close();
  const waiting = await run("apply");
  expect(waiting).toMatchObject({ code: 0, err: expect.stringContaining("`espalier up` follows") });
  expect(waiting.out).toContain("endpoint clicks  waits  models:/clicks@champion: waits");
  expect(waiting.out).toContain("clicks has no alias champion yet");

  // Planning beside a pipeline, with the alias set, still starts nothing.
  expect((await run("model", "promote", "clicks@1", "challenger")).code).toBe(0);
  await declare(project, "model: clicks@challenger, gate: none");
  const planned = await run("plan");
  expect(planned).toMatchObject({ code: 0, err: "" });
  expect(planned.out).toMatch(/train {2}stack laptop/);
  expect(planned.out).toContain("+ endpoint clicks  create  clicks@challenger\n    version: clicks@1 (all)");
  expect(existsSync(join(project, ".espalier/endpoints/clicks"))).toBe(false);
  const document = JSON.parse((await run("plan", "--json")).out);
  expect(document).toMatchObject({ pipeline: "train", endpoints: [{ name: "clicks", action: "create" }] });

  expect((await run("apply", "other")).err).toContain("espalier.yaml declares no endpoint other");
  expect((await run("apply", "clicks")).out).toContain("version: clicks@1 (all)");
  await declare(project, "model: clicks@challenger, gate: none, replicas: 2");
  expect((await run("plan", "--endpoints")).out).toContain(
    "~ endpoint clicks  update  clicks@challenger\n    replicas: 1 -> 2",
  );
  await declare(project, "model: clicks/9, gate: none");
  const faulty = await run("plan", "--endpoints", "--json");
  expect(faulty.code).toBe(6);
  expect(JSON.parse(faulty.out).endpoints[0]).toMatchObject({
    problem: { code: "NOT_FOUND", at: "espalier.yaml:3:13" },
  });

  await declare(project, "");
  expect((await run("apply")).out).toContain("- endpoint clicks  no longer declared: left as it is");
  expect((await run("deploy")).out).toContain("clicks@1");
  expect((await run("apply", "--prune")).out).toContain("- endpoint clicks  no longer declared: done");
  expect((await run("deploy")).out).toContain("Nothing is served");
});

test("a promotion by a command that is the control plane for a moment is followed before it ends", async () => {
  const project = await projectWithModels(champion, writeModel);
  const setUp = await startForTest(project);
  await register(setUp.client, "first");
  await register(setUp.client, "second");
  await promote(setUp.client, 1);
  await setUp.client.call("endpoints.apply", { body: {} });
  await setUp.close();
  expect((await espalier(project, "model", "promote", "clicks@2", "champion")).code).toBe(0);
  const [endpoint] = JSON.parse((await espalier(project, "deploy", "--json")).out);
  expect(endpoint.versions).toMatchObject([{ version: "2", weight: 1 }]);
});
