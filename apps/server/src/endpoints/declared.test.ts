import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { expect, test } from "vitest";
import { startForTest } from "../testing/control-plane.ts";
import { until } from "../testing/until.ts";
import {
  apply,
  champion,
  declare,
  params,
  plan,
  projectWithModels,
  promote,
  register,
  served,
  serves,
} from "./testing/declared-project.ts";

const writeModel = (folder: string, bias: number) =>
  writeModelFolder(folder, logisticModel([1, 1], bias), matrixSignature(["x0", "x1"]));

test("an endpoint is what is declared: made, followed as its alias moves, changed without a new version, pruned", async () => {
  const project = await projectWithModels(champion, writeModel);
  const { client } = await startForTest(project);

  // Nothing is there: neither model nor alias, and that is said in each case.
  expect(await plan(client)).toMatchObject({
    action: "create",
    problem: { code: "NOT_FOUND", at: "espalier.yaml:3:13" },
  });
  expect(await apply(client)).toMatchObject({ outcome: "failed", problem: { message: "There is no model clicks" } });
  await register(client, "first");
  expect(await plan(client)).toMatchObject({
    action: "wait",
    reason: expect.stringContaining("no alias champion yet"),
  });
  expect(await apply(client)).toMatchObject({ outcome: "waiting" });

  // The alias is set: the endpoint comes about without another word.
  await promote(client, 1);
  await until("the endpoint is made", () => client.call("endpoints.get", { params }).catch(() => undefined));
  await serves(client, "1");
  expect(await plan(client)).toMatchObject({ action: "none", changes: [] });
  expect(await apply(client)).toMatchObject({ outcome: "unchanged" });

  // A misspelt field would be captured in the clear.
  await declare(project, `${champion}, capture: { redact: { x00: hash } }`);
  const misspelt = {
    code: "INVALID_CONFIG",
    message: expect.stringContaining("`x00`"),
    hint: expect.stringContaining("`x0`"),
  };
  expect(await plan(client)).toMatchObject({ problem: misspelt });
  expect(await apply(client)).toMatchObject({ outcome: "failed", problem: misspelt });

  // Settings alone change no version.
  await declare(project, `${champion}, replicas: 2, capture: { rate: 0.5, redact: { x0: hash } }`);
  expect(await plan(client)).toMatchObject({
    action: "update",
    changes: [
      { field: "replicas", from: 1, to: 2 },
      { field: "capture.rate", from: 1, to: 0.5 },
      { field: "capture.redact", from: null, to: { x0: "hash" } },
    ],
  });
  const before = (await client.call("endpoints.rollouts", { params })).items.length;
  expect(await apply(client)).toMatchObject({ outcome: "done" });
  expect(await apply(client)).toMatchObject({ outcome: "unchanged" });
  expect((await client.call("endpoints.get", { params })).captureRate).toBe(0.5);
  expect((await client.call("endpoints.rollouts", { params })).items).toHaveLength(before);

  // What somebody sets by hand stays until somebody applies.
  await client.call("endpoints.deploy", {
    params,
    body: { model: "clicks", version: "1", captureRate: 0.1, gate: "none" },
  });
  expect(await plan(client)).toMatchObject({
    action: "hold",
    reason: expect.stringContaining("not those that were applied"),
    changes: [{ field: "capture.rate", from: 0.1, to: 0.5 }],
  });
  expect(await apply(client)).toMatchObject({ outcome: "done" });
  expect((await client.call("endpoints.get", { params })).captureRate).toBe(0.5);

  // The alias moves on.
  await register(client, "second");
  await promote(client, 2);
  await serves(client, "2");

  // A rollback by hand stays, until somebody applies.
  await client.call("endpoints.rollback", { params });
  expect(await served(client)).toEqual(["1"]);

  // A line less stops nothing.
  await declare(project, "");
  expect(await plan(client)).toMatchObject({ name: "clicks", action: "remove" });
  expect(await apply(client)).toMatchObject({ action: "remove", outcome: "left" });
  expect(await served(client)).toEqual(["1"]);
  expect(await apply(client, { prune: true })).toMatchObject({ action: "remove", outcome: "done" });
  await expect(client.call("endpoints.get", { params })).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await plan(client)).toBeUndefined();
});
