import { join } from "node:path";
import { expect, test } from "vitest";
import { findProject, loadProject, parseProject } from "./project.ts";
import { temporaryProject } from "./testing/temporary-project.ts";

const whole = `
project: flights-delay
default_stack: laptop
control_plane: { url: "http://127.0.0.1:7878" }
stacks:
  laptop: {}
  aws:
    artifacts: { uses: s3, with: { bucket: flights-prod, region: eu-west-1, options: { a: 1, b: 2 } } }
    compute: { train: { uses: sagemaker, with: { role: r } }, default: { uses: process } }
  aws-staging:
    extends: aws
    artifacts: { with: { bucket: flights-staging, options: { b: 3 } } }
    compute: { train: { uses: ray } }
monitors:
  drift: { endpoint: flights, kind: drift, window: 7d, pipeline: train, thresholds: { psi: 0.2 } }
`;

test("a stack takes over what it extends, component by component", () => {
  const { stacks, faults, defaultStack } = parseProject(whole);
  expect(faults).toEqual([]);
  expect(defaultStack).toBe("laptop");
  expect(stacks["aws-staging"]).toEqual({
    artifacts: { uses: "s3", with: { bucket: "flights-staging", region: "eu-west-1", options: { a: 1, b: 3 } } },
    compute: { train: { uses: "ray" }, default: { uses: "process" } },
  });
});

test("a project needs only its name", () => {
  expect(parseProject("project: small\n")).toMatchObject({
    faults: [],
    stacks: { laptop: {} },
    defaultStack: "laptop",
  });
  expect(parseProject("project: small\nstacks:\n  one:\n")).toMatchObject({
    faults: [],
    stacks: { one: {} },
    defaultStack: "one",
  });
});

test.each([
  ["project: a\nstack: {}\n", "2:1", "unknown key `stack`", "Did you mean `stacks`?"],
  [
    "project: a\nstacks:\n  x: { artefacts: { uses: s3 } }\n",
    "3:8",
    "unknown key `artefacts`",
    "Did you mean `artifacts`?",
  ],
  [
    "project: a\nstacks:\n  x:\n    artifacts: { with: 3 }\n",
    "4:18",
    "`stacks.x.artifacts.with` must be a mapping, and is 3",
    undefined,
  ],
  ["project: a\ndefault_stack: y\nstacks: { x: {} }\n", "2:1", "there is no stack `y`", "Known stacks: x."],
  [
    "project: a\nstacks:\n  x: { extends: y }\n  y: { extends: x }\n",
    "4:8",
    "stacks extend each other in a circle: x -> y -> x",
    undefined,
  ],
  ["project: a\nstacks:\n  x: { extends: yy }\n", "3:8", "there is no stack `yy`", undefined],
  [
    "project: a\ncontrol_plane: { url: localhost }\n",
    "2:18",
    '`control_plane.url` is the text "localhost": Invalid URL',
    undefined,
  ],
  ["stacks: {}\n", "1:1", "`project` is missing", undefined],
  [
    "project: a\nmonitors: { m: { endpoint: e, kind: drifts } }\n",
    "2:31",
    '`monitors.m.kind` must be drift, performance, quality or service, and is the text "drifts"',
    "Did you mean `drift`?",
  ],
])("%j", (text, place, message, hint) => {
  const { faults } = parseProject(text);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatchObject({ code: "INVALID_CONFIG", at: `espalier.yaml:${place}`, message });
  if (hint !== undefined) expect(faults[0]?.hint).toBe(hint);
});

test("the nearest project is found from a folder below", async () => {
  const { directory, close } = await temporaryProject({ "espalier.yaml": whole, "a/b/c.txt": "" });
  try {
    expect(await findProject(join(directory, "a", "b"))).toBe(directory);
    expect((await loadProject(directory)).locate(["stacks", "aws", "artifacts", "with", "bucket"])).toBe(
      "espalier.yaml:8:36",
    );
    await expect(findProject("/")).rejects.toMatchObject({ code: "NOT_FOUND" });
  } finally {
    await close();
  }
});

test("all faults of a project come as one error", async () => {
  const { directory, close } = await temporaryProject({ "espalier.yaml": "projet: a\nstacks: 3\n" });
  try {
    await expect(loadProject(directory)).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      details: { faults: [{ pointer: "/projet" }, { pointer: "/stacks" }] },
    });
  } finally {
    await close();
  }
});
