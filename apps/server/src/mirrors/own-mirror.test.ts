import { expect, test, vi } from "vitest";
import { freePort } from "../../../../scripts/servers/free-port.ts";
import { makeProject, startForTest } from "../testing/control-plane.ts";

test("a control plane that is its own mirror tells itself nothing, and says why", async () => {
  const port = await freePort();
  const project = await makeProject({
    "espalier.yaml": `project: flights
default_stack: mirrored
stacks:
  mirrored:
    tracking: { uses: mlflow, with: { tracking_uri: "http://localhost:${port}/" } }
`,
  });
  const { client, url } = await startForTest(project, { port });
  const post = async (path: string, body: object): Promise<{ runs?: unknown[] }> => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/api/2.0/mlflow/${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    return (await response.json()) as { runs?: unknown[] };
  };
  await post("runs/create", { experiment_id: "0" });
  await vi.waitFor(async () => {
    const { items } = await client.call("mirrors.list", {});
    expect(items[0]?.lastError).toMatch(/^CONFLICT: .* is this control plane itself/);
  }, 30_000);
  const { checks } = await client.call("doctor.check", { query: {} });
  expect(checks.find((check) => check.name === "mirror mirrored/tracking")).toMatchObject({
    status: "warn",
    hint: expect.stringContaining("espalier.yaml"),
  });
  expect((await post("runs/search", { experiment_ids: ["0"] })).runs).toHaveLength(1);
});
