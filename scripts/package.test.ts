import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { afterAll, beforeAll, expect, test } from "vitest";

/** The published package, packed, installed and run outside the repository, as a user's `npm install espalier` would. */
const root = resolve(import.meta.dirname, "..");
let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "espalier-package-"));
  execFileSync(process.execPath, [join(root, "scripts/build.ts")], { cwd: root, stdio: "pipe" });
  execFileSync("npm", ["pack", "--silent", "--pack-destination", home], {
    cwd: join(root, "dist/package"),
    stdio: "pipe",
  });
  const tarball = readdirSync(home).find((file) => file.endsWith(".tgz")) ?? "";
  writeFileSync(join(home, "package.json"), '{ "private": true, "type": "module" }\n');
  execFileSync("npm", ["install", "--silent", "--ignore-scripts", "--prefer-offline", `./${tarball}`], {
    cwd: home,
    stdio: "pipe",
  });
}, 300_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

function espalier(folder: string, ...words: string[]) {
  const result = spawnSync("espalier", words, {
    cwd: folder,
    encoding: "utf8",
    // As npm scripts and npx set it: the package's own Node comes first.
    env: { ...process.env, PATH: `${join(home, "node_modules/.bin")}:/usr/bin:/bin` },
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

test("npx espalier runs on Node 24 and knows its version", () => {
  const { version } = JSON.parse(readFileSync(join(root, "apps/cli/package.json"), "utf8"));
  expect(espalier(home, "--version")).toEqual({ code: 0, out: `${version}\n`, err: "" });
});

test("a pipeline with a shell step and a SQL step runs from the package", () => {
  const project = join(home, "project");
  mkdirSync(join(project, "pipelines"), { recursive: true });
  writeFileSync(join(project, "espalier.yaml"), "project: packed\ndefault_stack: laptop\nstacks:\n  laptop: {}\n");
  writeFileSync(join(project, "count.sql"), "create table counted as select count(*) as rows from numbers;\n");
  writeFileSync(
    join(project, "pipelines/count.yaml"),
    [
      "name: count",
      "steps:",
      "  write:",
      "    run: printf 'n\\n1\\n2\\n3\\n' > ${{ outputs.numbers }}",
      "    outputs: { numbers: file }",
      "  count:",
      "    uses: sql",
      "    inputs: { numbers: write.numbers, script: ./count.sql }",
      "    outputs: { counted: parquet }",
      "",
    ].join("\n"),
  );
  const first = espalier(project, "run", "count", "--json");
  expect(first.err).toBe("");
  expect(first.code).toBe(0);
  expect(JSON.parse(first.out).counts).toEqual({ succeeded: 2 });
  expect(JSON.parse(espalier(project, "run", "count", "--json").out).counts).toEqual({ cached: 2 });
});

test("an image of a model and its server is made from the package", async () => {
  const project = join(home, "imaged");
  mkdirSync(join(project, "pipelines"), { recursive: true });
  writeFileSync(join(project, "espalier.yaml"), "project: imaged\n");
  await writeModelFolder(join(project, "model"), logisticModel([1, 1], 0), matrixSignature(["x0", "x1"]));
  writeFileSync(
    join(project, "pipelines/train.yaml"),
    [
      "name: train",
      "steps:",
      "  train: { run: 'cp -r ${{ inputs.model }} ${{ outputs.model }}', inputs: { model: ./model }, outputs: { model: model } }",
      "  register: { uses: register, gate: none, inputs: { model: train.model }, with: { name: clicks } }",
      "  package: { uses: package, inputs: { model: register.version }, with: { image: true, repository: by-step } }",
      "",
    ].join("\n"),
  );
  const run = espalier(project, "run", "train", "--json");
  expect(run.err).toBe("");
  expect(JSON.parse(run.out).counts).toEqual({ succeeded: 3 });
  const packed = espalier(project, "package", "clicks@1", "--output", "images", "--json");
  expect(packed.err).toBe("");
  const { digest, layers } = JSON.parse(packed.out);
  expect(layers.map(({ what }: { what: string }) => what)).toContain("Espalier's model server");
  for (const index of ["images/index.json", ".espalier/packages/by-step/index.json"]) {
    expect(readFileSync(join(project, index), "utf8")).toContain(digest);
  }
});

test("init copies an example that plan accepts", () => {
  expect(espalier(home, "init", "mine", "--example", "flights-delay").code).toBe(0);
  const { code, out, err } = espalier(join(home, "mine"), "plan", "train");
  // The data file is not part of the package: the plan says where it belongs.
  expect(code, out).toBe(6);
  expect(err).toContain("data/flights-3m.parquet");
});

test("the example in TypeScript imports the package itself: its types hold, and it runs", () => {
  expect(espalier(home, "init", "typed", "--example", "flights-typescript").code).toBe(0);
  const project = join(home, "typed");
  const texts = readdirSync(project, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"));
  expect(texts.filter((text) => text.includes("@espalier/"))).toEqual([]);
  const types = spawnSync(
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), "-p", ".", "--typeRoots", join(root, "node_modules/@types")],
    { cwd: project, encoding: "utf8" },
  );
  expect(types.stdout).toBe("");

  mkdirSync(join(project, "data"));
  cpSync(join(root, "node_modules/vega-datasets/data/flights-20k.json"), join(project, "data/flights-20k.json"));
  try {
    const run = espalier(project, "run", "train", "--json");
    expect(run.err).toBe("");
    expect(JSON.parse(run.out).counts).toEqual({ succeeded: 9 });
  } finally {
    expect(espalier(project, "deploy", "flights-typescript", "--delete").code).toBe(0);
  }
});
