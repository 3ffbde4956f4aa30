import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import type { Client } from "@espalier/contract";
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

const held = (client: Client) =>
  until("it is held", async () => {
    const seen = await plan(client);
    return seen?.action === "hold" ? seen : undefined;
  });

test("an alias that moves is followed by the declared strategy, and what was taken back stays so until somebody applies", async () => {
  const canary = `${champion}, strategy: canary, rollout: { steps: [0.2, 1], minimum_requests: 1000000 }`;
  const project = await projectWithModels(canary, writeModel);
  const { client } = await startForTest(project);
  await register(client, "first");
  await register(client, "second");
  await promote(client, 1);
  expect(await plan(client)).toMatchObject({ action: "create", version: { to: "clicks@1", strategy: "all" } });
  expect(await apply(client)).toMatchObject({ outcome: "done" });
  await promote(client, 2);
  const rollout = await until("the canary begins", async () =>
    (await client.call("endpoints.rollouts", { params })).items.find((one) => one.toVersion === "2"),
  );
  expect(rollout).toMatchObject({ strategy: "canary", fromVersion: "1", weight: 0.2 });
  expect(await served(client)).toEqual(["1", "2"]);
  expect(await plan(client)).toMatchObject({ action: "none", reason: "its rollout is under way, at 20 %" });

  // Settings change while it goes on.
  await declare(project, `${canary}, capture_rate: 0.25`);
  expect(await apply(client)).toMatchObject({
    outcome: "done",
    changes: [{ field: "capture.rate", from: 1, to: 0.25 }],
  });
  expect(await served(client)).toEqual(["1", "2"]);
  expect((await client.call("endpoints.rollouts", { params })).items[0]).toMatchObject({
    id: rollout.id,
    state: "running",
  });

  // The alias names it still, and nobody tries it again by himself.
  await client.call("endpoints.rollback", { params, body: { reason: "a bad feeling" } });
  expect((await held(client)).reason).toContain("a bad feeling");
  expect(await served(client)).toEqual(["1"]);
  expect((await client.call("endpoints.get", { params })).captureRate).toBe(0.25);
  expect(await apply(client)).toMatchObject({
    outcome: "done",
    version: { from: "clicks@1", to: "clicks@2", strategy: "canary" },
  });
  expect(await served(client)).toEqual(["1", "2"]);
});

test("a version that can not be served is tried once; the one before serves on, and the next is taken up", async () => {
  const { client } = await startForTest(await projectWithModels(champion, writeModel));
  for (const which of ["first", "broken", "second"] as const) await register(client, which);
  await promote(client, 1);
  await apply(client);
  await promote(client, 2);
  expect((await held(client)).reason).toContain("clicks@2 was taken back");
  expect(await served(client)).toEqual(["1"]);
  const tried = (await client.call("endpoints.rollouts", { params })).items.filter((one) => one.toVersion === "2");
  expect(tried).toHaveLength(1);
  const again = await apply(client);
  expect(again).toMatchObject({ outcome: "failed", problem: { message: expect.stringContaining("does not serve") } });
  await promote(client, 3);
  await serves(client, "3");
});

test("gates hold for what is declared", async () => {
  const project = await projectWithModels("model: models:/clicks/1", writeModel);
  const { client } = await startForTest(project);
  await register(client, "first");
  expect(await plan(client)).toMatchObject({ problem: { code: "UNGATED", at: "espalier.yaml:3:13" } });
  expect(await apply(client)).toMatchObject({ outcome: "failed", problem: { code: "UNGATED" } });
  await expect(client.call("endpoints.get", { params })).rejects.toMatchObject({ code: "NOT_FOUND" });
  await declare(project, "model: clicks/1, gate: none");
  expect(await apply(client)).toMatchObject({ outcome: "done" });
  await declare(project, "model: clicks/7, gate: none");
  expect(await apply(client)).toMatchObject({
    outcome: "failed",
    problem: { code: "NOT_FOUND", message: "There is no version 7 of the model clicks" },
  });
  expect(await served(client)).toEqual(["1"]);
});

test("captures go where they are declared to go, without what is redacted", async () => {
  const events: { headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
  const sink = createHttpServer(async (request, response) => {
    events.push({ headers: request.headers, body: await text(request) });
    response.end();
  }).listen(0, "127.0.0.1");
  await once(sink, "listening");
  const { port } = sink.address() as { port: number };
  const formats = `formats: { cloudevents: { url: "http://127.0.0.1:${port}" }, sagemaker: true }`;
  const declared = `${champion}, capture: { redact: { x0: drop }, ${formats} }`;
  const { client } = await startForTest(await projectWithModels(declared, writeModel));
  try {
    await register(client, "first");
    await promote(client, 1);
    expect(await apply(client)).toMatchObject({ outcome: "done" });
    expect(await plan(client)).toMatchObject({ action: "none" });
    const body = { dataframe_split: { columns: ["x0", "x1"], data: [[4711, 1]] } };
    await client.call("endpoints.predict", { params, body });
    const request = await until("the event arrives", async () =>
      events.find(({ headers }) => headers["ce-type"] === "org.kubeflow.serving.inference.request"),
    );
    expect(request.headers["ce-inferenceservicename"]).toBe("clicks");
    expect(request.body).toContain("x1");
    expect(request.body).not.toContain("4711");
  } finally {
    sink.close();
  }
});

test("a port that is taken is said before anything changes, and taken once it is free", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  const project = await projectWithModels(`${champion}, port: ${port}`, writeModel);
  const { client } = await startForTest(project);
  try {
    await register(client, "first");
    await promote(client, 1);
    expect(await plan(client)).toMatchObject({ problem: { code: "PORT_IN_USE" } });
    expect(await apply(client)).toMatchObject({ outcome: "failed", problem: { code: "PORT_IN_USE" } });
  } finally {
    other.close();
  }
  const made = await until("the endpoint is made", async () => {
    const seen = await client.call("endpoints.get", { params }).catch(() => undefined);
    return seen?.state === "ready" ? seen : undefined;
  });
  expect(new URL(made.url ?? "").port).toBe(String(port));
});

test("versions that rules and the shadow name are served beside, follow their aliases and survive a takeover", async () => {
  const beta = "rules: [{ header: x-beta, value: yes, model: models:/clicks@challenger }]";
  const project = await projectWithModels(`model: clicks@champion, gate: none, traffic: { ${beta} }`, writeModel);
  const { client } = await startForTest(project);
  await register(client, "first");
  await register(client, "second");
  await promote(client, 1);
  const first = await apply(client);
  expect(first).toMatchObject({ outcome: "done", reason: "clicks has no alias challenger yet" });
  const ask = async (headers: Record<string, string> = {}) => {
    const { url = "" } = await client.call("endpoints.get", { params });
    const response = await fetch(`${url}/invocations`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ dataframe_split: { columns: ["x0", "x1"], data: [[1, 1]] } }),
    });
    expect(response.status).toBe(200);
    return response.headers.get("x-espalier-model-version");
  };
  expect(await ask({ "x-beta": "yes" })).toBe("1");
  await client.call("models.promote", { params: { name: "clicks", alias: "challenger" }, body: { version: 2 } });
  await until("the rule is in force", async () => (await ask({ "x-beta": "yes" })) === "2" || undefined);
  expect(await ask()).toBe("1");
  expect(await plan(client)).toMatchObject({ action: "none" });

  await declare(
    project,
    "model: clicks@champion, gate: none, traffic: { shadow: { model: clicks@challenger, share: 1 } }",
  );
  expect(await plan(client)).toMatchObject({
    changes: [
      { field: "traffic.rules", to: null },
      { field: "traffic.shadow", from: null, to: [{ version: "clicks@2", share: 1 }] },
    ],
  });
  expect(await apply(client)).toMatchObject({ outcome: "done" });
  expect(await ask({ "x-beta": "yes" })).toBe("1");
  // The shadow becomes the champion: it is no shadow of itself.
  await promote(client, 2);
  await serves(client, "2");
  expect(await plan(client)).toMatchObject({ action: "none" });
});
