import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@espalier/contract";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "espalier-export-scenario-"));
let plane: StartedControlPlane;
let client: Client;

beforeAll(async () => {
  cpSync(join(import.meta.dirname, "project"), folder, { recursive: true });
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
  client = createClient({ url: plane.url, token: plane.token });
});
afterAll(async () => {
  await client?.call("endpoints.delete", { params: { name: "exported" } }).catch(() => undefined);
  await plane?.close();
  rmSync(folder, { recursive: true, force: true });
});

test("a model is exported by choice, serves as a graph, and not when it predicts otherwise", {
  timeout: 600_000,
}, async () => {
  const { id } = await client.call("runs.create", { body: { pipeline: "export", params: {} } });
  for await (const _event of client.events("runs.events", { params: { runId: id } }));
  const { steps } = await client.call("runs.get", { params: { runId: id } });
  const byName = Object.fromEntries(steps.map((step) => [step.step, step]));
  expect(Object.fromEntries(steps.map(({ step, state }) => [step, state]))).toEqual({
    train: "succeeded",
    export: "succeeded",
    register: "succeeded",
    deploy: "succeeded",
    strict: "failed",
  });
  expect(byName["export"]?.values?.["report"]).toMatchObject({
    flavor: "sklearn",
    rows: 200,
    tolerance: 1e-6,
    outputs: [
      { name: "label", different: 0 },
      { name: "probabilities", largest: expect.any(Number), row: expect.any(Number) },
    ],
  });
  expect(JSON.stringify(byName["strict"]?.error)).toMatch(
    /probabilities of the graph differs by .* the tolerance is 1e-12/,
  );

  const { url } = await client.call("endpoints.get", { params: { name: "exported" } });
  const metadata = (await (await fetch(`${url}/v2/models/exported`)).json()) as { platform: string };
  expect(metadata.platform).toBe("onnxruntime_onnx");
  const response = await fetch(`${url}/invocations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      dataframe_records: [
        { origin: "JFK", miles: 0.9 },
        { origin: "LAX", miles: 0.9 },
      ],
    }),
  });
  expect(await response.json()).toMatchObject({ predictions: [{ label: 1 }, { label: 0 }] });
});
