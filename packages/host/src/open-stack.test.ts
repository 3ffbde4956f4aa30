import { expect, test } from "vitest";
import { checkStack, openStack } from "./open-stack.ts";
import { loadProject } from "./project.ts";
import { temporaryProject } from "./testing/temporary-project.ts";

const ownTool = `
import { z } from "zod";
export const tools = [{
  manifest: {
    tool: "own", provider: "custom", component: "compute", milestone: 5, summary: "of our own", capabilities: [], skills: [],
    cost: { money: "none", operations: "none" }, verified: { label: "real", against: "this test", live: "not applicable" },
  },
  config: z.strictObject({ queue: z.string(), elsewhere: z.boolean().optional() }),
  create: (config) => ({ sharesFiles: config.elsewhere !== true, queue: config.queue }),
}];
`;

const files = {
  "espalier.yaml": `project: demo
stacks:
  laptop: {}
  own:
    compute: { train: { uses: "./tools.mjs", limit: 2 }, gone: { uses: "npm:@acme/not-there" } }
  wrong:
    artifacts: { uses: s4 }
    validator: { with: { threads: many, memry: 1GB } }
    compute: { train: { uses: process } }
  far:
    compute: { default: { uses: "npm:@acme/espalier-own", with: { queue: slow, elsewhere: true }, limit: 3 } }
`.replace('"./tools.mjs"', '"npm:@acme/espalier-own", with: { queue: fast }'),
  "package.json": "{}",
};

async function demo() {
  const { directory, close } = await temporaryProject(files);
  // The workspace's node_modules is a link here, so the tool's package stands in a folder of its own above it.
  const { mkdir, rm, writeFile, symlink } = await import("node:fs/promises");
  await rm(`${directory}/node_modules`);
  await mkdir(`${directory}/node_modules/@acme/espalier-own`, { recursive: true });
  await symlink(new URL("../../../node_modules/zod", import.meta.url).pathname, `${directory}/node_modules/zod`);
  await writeFile(
    `${directory}/node_modules/@acme/espalier-own/package.json`,
    '{"name":"@acme/espalier-own","main":"index.mjs"}',
  );
  await writeFile(`${directory}/node_modules/@acme/espalier-own/index.mjs`, ownTool);
  return { project: await loadProject(directory), close };
}

test("a stack that says nothing is embedded; a tool may come from a package", async () => {
  const { project, close } = await demo();
  try {
    const stack = await openStack(project, "laptop");
    expect(await stack.artifactStore.head("nothing")).toBeUndefined();
    expect(await stack.runnerFor({})).toMatchObject({ tool: "embedded/process", name: "laptop/default" });
    expect(await stack.runnerFor({ compute: "train" })).toMatchObject({ name: "laptop/train" });
    const own = await stack.runnerFor({ compute: "train" }, { stack: "own" });
    expect(own).toMatchObject({ tool: "custom/own", limit: 2, runner: { queue: "fast" } });
    await expect(stack.runnerFor({ compute: "tarin" }, { stack: "own" })).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      hint: "Did you mean `train`?",
    });
    await stack.close();
    await expect(openStack(project, "labtop")).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      hint: "Did you mean `laptop`?",
    });
  } finally {
    await close();
  }
});

test("`run:` steps go to a tool elsewhere, built-in steps when they ask for it, TypeScript steps never", async () => {
  const { project, close } = await demo();
  try {
    const stack = await openStack(project, "far");
    expect(await stack.runnerFor({})).toMatchObject({ tool: "custom/own", limit: 3, runner: { queue: "slow" } });
    const validate = await stack.runnerFor({ uses: "validate" });
    expect(validate).toMatchObject({ tool: "embedded/process", runner: { sharesFiles: true } });
    expect(await stack.runnerFor({ uses: "./steps/a.ts#train", compute: "train" })).toBe(validate);
    const asked = await stack.runnerFor({ uses: "batch-predict", compute: "train" });
    expect(asked).toMatchObject({ tool: "custom/own", runner: { sharesFiles: false } });
    // Where files are shared, so is our code.
    const near = await stack.runnerFor({ uses: "validate", compute: "train" }, { stack: "own" });
    expect(near).toMatchObject({ tool: "custom/own" });
    await stack.close();
  } finally {
    await close();
  }
});

test("what is wrong with a stack is told with its place, and the rest of it still opens", async () => {
  const { project, close } = await demo();
  try {
    expect((await checkStack(project, "own")).map(({ code, at, hint }) => ({ code, at, hint }))).toEqual([
      { code: "NOT_INSTALLED", at: "espalier.yaml:5:100", hint: "npm install @acme/not-there" },
    ]);
    const faults = await checkStack(project, "wrong");
    expect(faults.map(({ code, at, message }) => ({ code, at, message }))).toEqual([
      { code: "UNSUPPORTED", at: "espalier.yaml:7:18", message: "There is no tool `s4` for artifacts" },
      expect.objectContaining({
        at: "espalier.yaml:8:26",
        message: expect.stringContaining("`stacks.wrong.validator.with.threads` must be"),
      }),
      expect.objectContaining({ at: "espalier.yaml:8:41", message: "unknown key `memry`" }),
    ]);
    const stack = await openStack(project, "wrong");
    expect(() => stack.artifactStore).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
    await expect(stack.runnerFor({ compute: "train" })).resolves.toMatchObject({ tool: "embedded/process" });
    await stack.close();
  } finally {
    await close();
  }
});
