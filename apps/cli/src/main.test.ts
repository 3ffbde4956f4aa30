import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { commandTable } from "./command-table.ts";
import { collectParameter } from "./project-command.ts";
import { version } from "./version.ts";

const main = resolve(import.meta.dirname, "main.ts");
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "espalier-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function espalier(...words: string[]): { code: number | null; out: string; err: string } {
  const result = spawnSync(process.execPath, [main, ...words], { cwd: folder, encoding: "utf8" });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

test("--help lists every command and loads none of our packages", () => {
  const trace = spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(listLoaded)}`, main, "--help"],
    {
      encoding: "utf8",
    },
  );
  for (const names of Object.values(commandTable))
    for (const name of Object.keys(names)) expect(trace.stdout).toContain(`  ${name} `);
  expect(trace.stderr).toContain("command-table.ts");
  expect(trace.stderr).not.toMatch(/zod|packages\/(core|host)|commands\//);
});

/** Prints every module that is loaded. */
const listLoaded = `
import { registerHooks } from "node:module";
registerHooks({ load(url, context, next) { process.stderr.write(url + "\\n"); return next(url, context); } });
`;

test("the version is package.json's", () => {
  const manifest = JSON.parse(readFileSync(resolve(import.meta.dirname, "../package.json"), "utf8"));
  expect(version).toBe(manifest.version);
  expect(espalier("--version").out.trim()).toBe(version);
});

test("every command has a help page of its own", async () => {
  for (const [name, entry] of Object.values(commandTable).flatMap((group) => Object.entries(group))) {
    const command = (await entry.load()).command();
    expect(command.name()).toBe(name);
    const leaves = command.commands.length === 0 ? [command] : command.commands;
    for (const page of leaves.map((leaf) => leaf.helpInformation())) {
      expect(page).toContain(`Usage: espalier ${name} `);
      expect(page).toContain("--json");
    }
  }
});

test("an unknown command names the nearest one", () => {
  const { code, err } = espalier("rum");
  expect(code).toBe(2);
  expect(err).toContain("espalier run");
});

test("an unknown option is the user's mistake, and --json says so in JSON", () => {
  expect(espalier("run", "--nonsense").code).toBe(2);
  const { code, out } = espalier("run", "--nonsense", "--json");
  expect(code).toBe(2);
  expect(JSON.parse(out).error.code).toBe("INVALID_INPUT");
});

test("a sub-command takes --project behind its name", () => {
  const { code, err } = espalier("runs", "list", "--project", join(folder, "nowhere"));
  expect(code).toBe(6);
  expect(err).toContain("nowhere");
});

test("a folder without a project says what to do", () => {
  const { code, err } = espalier("run");
  expect(code).toBe(6);
  expect(err).toContain("espalier init");
});

test("-p takes the text behind the first equals sign; the pipeline knows its type", () => {
  expect(collectParameter("a=1.10")).toEqual({ a: "1.10" });
  expect(collectParameter("b=true", { a: "1" })).toEqual({ a: "1", b: "true" });
  expect(collectParameter("e=a=b")).toEqual({ e: "a=b" });
  expect(() => collectParameter("a")).toThrow("key=value");
});

test("predict sends no number as another one", () => {
  const { code, err } = espalier("predict", "flights", "-d", '{"instances": [{"id": 9007199254740993}]}');
  expect(code).not.toBe(0);
  expect(err).toMatch(/UNSUPPORTED.*9007199254740993 rounded/);
});

test("init --here wraps scripts in their usual order and changes none of them", () => {
  writeFileSync(join(folder, "train_model.py"), "print('train')\n");
  writeFileSync(join(folder, "download.sh"), "echo data\n");
  writeFileSync(join(folder, "requirements.txt"), "numpy\n");
  const { code } = espalier("init", "--here");
  expect(code).toBe(0);
  const pipeline = readFileSync(join(folder, "pipelines/main.yaml"), "utf8");
  expect(pipeline.indexOf("download:")).toBeLessThan(pipeline.indexOf("train_model:"));
  expect(pipeline).toContain("run: python3 train_model.py");
  expect(pipeline).toContain("environment: { python: ./requirements.txt }");
  expect(readFileSync(join(folder, "train_model.py"), "utf8")).toBe("print('train')\n");
  expect(espalier("init", "--here").code).toBe(5);
});

test("init refuses a folder that is not empty and an example that is not there", () => {
  writeFileSync(join(folder, "mine.txt"), "x");
  expect(espalier("init", ".").code).toBe(5);
  expect(readdirSync(folder)).toEqual(["mine.txt"]);
  expect(espalier("init", "new", "--example", "nothing").code).toBe(6);
});
