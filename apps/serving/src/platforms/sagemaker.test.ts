import { createServer } from "node:http";
import { join } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { afterEach, beforeEach, expect, it } from "vitest";
import { mlflowError } from "../http/error-forms.ts";
import { listen } from "../http/listen.ts";
import { createDispatch } from "../http/routes.ts";
import { createModelServer, type ModelServer } from "../model-server.ts";
import { temporaryFolder } from "../testing/running-server.ts";
import { multiModelRoutes } from "./sagemaker.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let models: ModelServer;
beforeEach(async () => {
  folder = await temporaryFolder();
  models = createModelServer({ name: "models", version: "1" });
  await models.load();
});
afterEach(async () => {
  await models.close();
  await folder.remove();
});

it("a model that is larger than the memory that is left is refused with 507, and loaded once there is room", async () => {
  const path = await writeModelFolder(join(folder.path, "one"), logisticModel([1], 0), matrixSignature(["x"]));
  let availableBytes = 100;
  const routes = multiModelRoutes(models.serving, { maxModels: 9, availableBytes: () => availableBytes });
  const server = createServer(createDispatch(routes, mlflowError));
  const url = `http://127.0.0.1:${await listen(server, "127.0.0.1", 0)}/models`;
  const load = () => fetch(url, { method: "POST", body: JSON.stringify({ model_name: "one", url: path }) });
  try {
    const refused = await load();
    expect([refused.status, await refused.json()]).toEqual([
      507,
      { error_code: "RESOURCE_EXHAUSTED", message: expect.stringContaining("no room for a model of") },
    ]);
    expect(models.serving.repository.index()).toEqual([]);
    availableBytes = 1_000_000;
    const both = await Promise.all([load(), load()]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(models.serving.repository.index()).toMatchObject([{ name: "one", state: "READY" }]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});
