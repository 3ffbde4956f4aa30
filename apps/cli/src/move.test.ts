import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { stackPair } from "./move-lines.ts";

const main = join(import.meta.dirname, "main.ts");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-move-"));
  await mkdir(join(folder, "pipelines"));
  await writeFile(
    join(folder, "espalier.yaml"),
    `project: moved
default_stack: here
stacks:
  here: { artifacts: { uses: filesystem, with: { path: ./one } } }
  there: { artifacts: { uses: filesystem, with: { path: ./two } } }
`,
  );
  await writeFile(
    join(folder, "pipelines/make.yaml"),
    `name: make
steps:
  many:
    run: 'mkdir -p "$ESPALIER_OUTPUTS/many"; for i in $(seq 60); do head -c 2000000 /dev/urandom > "$ESPALIER_OUTPUTS/many/$i"; done'
    outputs: { many: tree }
`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function espalier(...given: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...given], { cwd: folder, timeout: 120_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

async function objectsThere(): Promise<number> {
  const names = await readdir(join(folder, "two"), { recursive: true }).catch(() => []);
  return names.filter((name) => /^blobs\/..\/.{62}$/.test(name)).length;
}

test("a move that is killed at any point goes on, sends nothing twice, and makes the other stack the default only at its end", async () => {
  expect(await espalier("run", "make")).toMatchObject({ code: 0 });
  const asked = await espalier("move", "here..there");
  expect(asked).toMatchObject({ code: 2, err: expect.stringContaining("--yes") });
  expect(await objectsThere()).toBe(0);

  for (const enough of [1, 20, 40]) {
    const before = await objectsThere();
    const child = spawn(process.execPath, [main, "move", "here..there", "--yes", "--make-default"], {
      cwd: folder,
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.on("exit", resolve));
    await vi.waitUntil(async () => child.exitCode !== null || (await objectsThere()) >= before + enough, {
      timeout: 60_000,
      interval: 5,
    });
    child.kill("SIGKILL");
    await ended;
    if (child.exitCode === 0) break;
    expect(await readFile(join(folder, "espalier.yaml"), "utf8")).toContain("default_stack: here");
  }
  const before = await objectsThere();
  const last = await espalier("move", "here..there", "--yes", "--make-default", "--verify", "all", "--json");
  expect(last).toMatchObject({ code: 0, err: "" });
  const { move } = JSON.parse(last.out) as { move: { state: string; objects: number; damaged: string[] } };
  expect(move).toMatchObject({ state: "done", damaged: [] });
  expect(move.objects).toBe((await objectsThere()) - before);
  expect(await readFile(join(folder, "espalier.yaml"), "utf8")).toContain("default_stack: there");
  await rm(join(folder, "one"), { recursive: true });
  const run = await espalier("run", "make", "--json");
  expect(JSON.parse(run.out)).toMatchObject({ counts: { cached: 1 } });
});

test("plan A..B tells what changes and what would be carried; nonsense is refused", async () => {
  const plan = await espalier("plan", "there..here");
  expect(plan.code).toBe(0);
  expect(plan.out).toContain("data from there to here");
  expect(plan.out).toMatch(/to carry {4}\d+ artifacts/);
  expect(plan.out).toContain("to learn: nothing");
  const unknown = await espalier("plan", "there..hear");
  expect(unknown).toMatchObject({ code: 6, err: expect.stringContaining('There is no stack "hear"') });
  expect(await espalier("move", "there")).toMatchObject({ code: 2, err: expect.stringContaining("is not two stacks") });
});

test("a pair of stacks is told apart from names and files", () => {
  expect(stackPair("laptop..servers")).toEqual({ from: "laptop", to: "servers" });
  for (const other of ["train", "pipelines/train.yaml", "../train.yaml", "a...b", "..b", undefined]) {
    expect(stackPair(other)).toBeUndefined();
  }
});
