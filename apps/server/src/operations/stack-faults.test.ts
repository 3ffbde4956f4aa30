import { expect, test } from "vitest";
import { makeProject, startForTest } from "../testing/control-plane.ts";

const text = `project: flights
stacks:
  laptop: {}
  servers:
    tracking: { uses: mlflow, with: { tracking_uri: "http://127.0.0.1:9", token_secret: MLFLOW_TOKEN } }
  mistaken:
    tracking: { uses: mlflow, with: { tracking_url: "http://127.0.0.1:9" } }
`;

test("a stack is shown with what is wrong in it", async () => {
  const { client } = await startForTest(await makeProject({ "espalier.yaml": text }));
  const problems = Object.fromEntries(
    (await client.call("project.stacks")).items.map((one) => [one.name, one.problems]),
  );
  expect(problems["laptop"]).toEqual([]);
  expect(problems["servers"]).toEqual([]);
  expect(problems["mistaken"]).toContainEqual(
    expect.objectContaining({
      code: "INVALID_CONFIG",
      at: "espalier.yaml:7:39",
      message: expect.stringContaining("tracking_url"),
    }),
  );
});

test("the doctor says what is declared and not served so", async () => {
  const declared = "project: flights\nendpoints:\n  clicks: { model: clicks@champion }\n";
  const { client } = await startForTest(await makeProject({ "espalier.yaml": declared }));
  const { healthy, checks } = await client.call("doctor.check", { query: {} });
  expect(healthy).toBe(true);
  expect(checks).toContainEqual(
    expect.objectContaining({
      name: "endpoint clicks",
      status: "warn",
      at: "espalier.yaml:3:13",
      message: "There is no model clicks",
    }),
  );
});

test("the doctor looks for the secrets that a stack names, whichever stack it is asked about", async () => {
  const { client } = await startForTest(await makeProject({ "espalier.yaml": text }));
  const checks = async (stack?: string) => {
    const report = await client.call("doctor.check", { query: stack === undefined ? {} : { stack } });
    return report.checks.filter(({ name }) => name === "secret");
  };
  expect(await checks()).toEqual([]);
  expect(await checks("servers")).toMatchObject([
    { status: "fail", message: "there is no secret MLFLOW_TOKEN", at: "espalier.yaml:5:75" },
  ]);
  await client.call("secrets.set", { params: { name: "MLFLOW_TOKEN" }, body: { value: "swordfish-42" } });
  const found = await checks("servers");
  expect(found).toMatchObject([{ status: "ok", at: "espalier.yaml:5:75" }]);
  expect(JSON.stringify(found)).not.toContain("swordfish");
});
