import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

const pipeline = (more: string): string => `
name: two
steps:
  first: { run: 'sleep 0.3; echo 1 > "$ESPALIER_OUTPUTS/one"', outputs: { one: file } }
  second: { run: 'sleep 0.2; cat "$ESPALIER_INPUTS/one"', inputs: { one: first.one } }
${more}`;

test("a plan tells how long it will take by what earlier runs took, and names what never ran", async () => {
  const project = await makeProject({ "pipelines/two.yaml": pipeline("") });
  const { client } = await startForTest(project);
  const fresh = await client.call("plan.make", { body: { pipeline: "two" } });
  expect(fresh.forecast).toEqual({ seconds: 0, dollars: 0, unknownSteps: ["first", "second"], unpricedSteps: [] });
  await runToEnd(client, (await client.call("runs.create", { body: { pipeline: "two" } })).id);

  const cached = await client.call("plan.make", { body: { pipeline: "two" } });
  expect(cached.forecast).toMatchObject({ seconds: 0, unknownSteps: [] });

  await writeFile(join(project, "pipelines/two.yaml"), pipeline("  third: { run: 'true', needs: [second] }\n"));
  const { steps, forecast } = await client.call("plan.make", { body: { pipeline: "two", options: { force: true } } });
  const seconds = Object.fromEntries(steps.map((step) => [step.step, step.expectedSeconds]));
  expect(seconds["first"]).toBeGreaterThanOrEqual(0.3);
  expect(seconds["second"]).toBeGreaterThanOrEqual(0.2);
  expect(steps.find(({ step }) => step === "first")).toMatchObject({ expectedFrom: 1 });
  expect(forecast).toMatchObject({ unknownSteps: ["third"], dollars: 0 });
  expect(forecast.seconds).toBeCloseTo((seconds["first"] ?? 0) + (seconds["second"] ?? 0), 6);
});

test("a step elsewhere tells its route, what its tool can not do, its price and what must be allowed", async () => {
  const project = await makeProject({
    "espalier.yaml": `project: flights
default_stack: far
stacks:
  far:
    compute: { train: { uses: ray, with: { address: "http://127.0.0.1:9" } } }
`,
    "data/a.csv": "id\n1\n",
    "pipelines/far.yaml": `
name: far
steps:
  train: { run: 'cat "$ESPALIER_INPUTS/rows"', inputs: { rows: ./data/a.csv }, compute: train }
`,
  });
  const { client } = await startForTest(project, { stack: "far" });
  const { steps, gaps, permissions, forecast, problems } = await client.call("plan.make", {
    body: { pipeline: "far" },
  });
  expect(problems).toEqual([]);
  expect(steps).toMatchObject([{ step: "train", route: "signed URLs of this control plane", inputBytes: 5 }]);
  expect(gaps).toContainEqual({
    tool: "filesystem",
    what: "signs no URLs of its own",
    fallback: "this control plane signs and serves the files of steps elsewhere",
  });
  expect(gaps).toContainEqual(expect.objectContaining({ tool: "control plane" }));
  expect(gaps.filter(({ tool }) => tool.endsWith("ray")).length).toBeGreaterThan(1);
  expect(permissions).toMatchObject([{ tool: "ray", component: "compute" }]);
  expect(forecast).toMatchObject({ dollars: 0, unpricedSteps: ["train"] });
});
