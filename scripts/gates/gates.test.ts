import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";

/** Every gate has a planted fault that proves it can fail. The faults are planted in a copy of the house's frame. */
const root = resolve(import.meta.dirname, "../..");
let house: string;

function plant(path: string, text: string): void {
  mkdirSync(dirname(join(house, path)), { recursive: true });
  writeFileSync(join(house, path), text);
}

function run(tool: string, ...args: string[]): { code: number | null; output: string } {
  const result = spawnSync(join(root, "node_modules/.bin", tool), args, { cwd: house, encoding: "utf8" });
  return { code: result.status, output: `${result.stdout}${result.stderr}` };
}

/** Path of the planted file, its text, and the rule that must name it. */
const lintFaults: [string, string, string][] = [
  [
    "packages/core/src/reads-disk.ts",
    'import { readFile } from "node:fs/promises";\nexport const x = readFile;\n',
    "noRestrictedImports",
  ],
  [
    "packages/core/src/ir/uses-port.ts",
    'import type { ArtifactStore } from "../ports/artifact-store.ts";\nexport type X = ArtifactStore;\n',
    "noRestrictedImports",
  ],
  [
    "packages/core/src/imports-server.ts",
    'import { x } from "@espalier/server";\nexport const y = x;\n',
    "noUndeclaredDependencies",
  ],
  [
    "adapters/embedded/src/imports-adapter.ts",
    'import { x } from "@espalier/open-source";\nexport const y = x;\n',
    "noUndeclaredDependencies",
  ],
  [
    "adapters/embedded/src/by-folder.ts",
    'import { x } from "../../open-source/src/index.ts";\nexport const y = x;\n',
    "noRestrictedImports",
  ],
  [
    "adapters/open-source/src/s3-store.ts",
    'import { S3 } from "@aws-sdk/client-s3";\nexport const y = S3;\n',
    "noRestrictedImports",
  ],
  [
    "packages/host/src/uses-suite.ts",
    'import { x } from "@espalier/conformance";\nexport const y = x;\n',
    "noRestrictedImports",
  ],
  ["packages/core/src/has-default.ts", "export default 1;\n", "noDefaultExport"],
  ["packages/core/src/barrel.ts", 'export * from "./errors.ts";\n', "noReExportAll"],
  [
    "packages/core/src/floats.ts",
    "async function a(): Promise<void> {}\nexport function b(): void {\n  a();\n}\n",
    "noFloatingPromises",
  ],
  [
    "packages/core/src/swallows.ts",
    'export function b(): void {\n  try {\n    JSON.parse("1");\n  } catch {}\n}\n',
    "noEmptyBlockStatements",
  ],
  ["packages/core/src/WrongName.ts", "export const x = 1;\n", "useFilenamingConvention"],
  [
    "packages/core/src/too-long.ts",
    Array.from({ length: 401 }, (_, line) => `export const line${line} = ${line};\n`).join(""),
    "noExcessiveLinesPerFile",
  ],
  ["packages/core/src/cycle-a.ts", 'import { b } from "./cycle-b.ts";\nexport const a = () => b;\n', "noImportCycles"],
  ["packages/core/src/cycle-b.ts", 'import { a } from "./cycle-a.ts";\nexport const b = () => a;\n', "noImportCycles"],
];

beforeAll(() => {
  house = mkdtempSync(join(tmpdir(), "espalier-gates-"));
  const frame = execFileSync("git", ["ls-files", "*package.json", "*tsconfig*.json", "packages/core/src/*"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of frame.trim().split("\n")) {
    mkdirSync(dirname(join(house, file)), { recursive: true });
    cpSync(join(root, file), join(house, file));
  }
  const biome = JSON.parse(readFileSync(join(root, "biome.json"), "utf8"));
  writeFileSync(join(house, "biome.json"), JSON.stringify({ ...biome, vcs: { enabled: false } }));
  symlinkSync(join(root, "node_modules"), join(house, "node_modules"));
});
afterAll(() => rmSync(house, { recursive: true, force: true }));

test("Biome names each planted fault by its rule", () => {
  for (const [path, text] of lintFaults) plant(path, text);
  onTestFinished(() => {
    for (const [path] of lintFaults) rmSync(join(house, path));
  });
  const { code, output } = run("biome", "lint", "--max-diagnostics=none", "--reporter=github", ".");
  expect(code).not.toBe(0);
  for (const [path, , rule] of lintFaults) {
    const found = output.split("\n").some((line) => line.includes(`/${path},`) && line.includes(rule));
    expect(found, `${rule} at ${path} in:\n${output.slice(0, 4000)}`).toBe(true);
  }
});

test("the formatter refuses an unformatted file", () => {
  plant("packages/core/src/unformatted.ts", "export const   x=1\n");
  expect(run("biome", "format", "packages/core/src/unformatted.ts").code).not.toBe(0);
  rmSync(join(house, "packages/core/src/unformatted.ts"));
});

test("tsc refuses a type error", () => {
  plant("packages/core/src/mistyped.ts", 'export const count: number = "one";\n');
  const { code, output } = run("tsc", "-p", "packages/core");
  expect(code).not.toBe(0);
  expect(output).toContain("mistyped.ts(1,14): error TS2322");
  rmSync(join(house, "packages/core/src/mistyped.ts"));
});

test("knip names a file that nothing uses", () => {
  cpSync(join(root, "knip.json"), join(house, "knip.json"));
  plant("packages/core/src/dead.ts", "export const dead = 1;\n");
  const { code, output } = run("knip", "--include", "files");
  expect(code).not.toBe(0);
  expect(output).toContain("packages/core/src/dead.ts");
});

/** What each workspace may name in its package.json: the dependency rule of the design. */
const allowed: Record<string, string[]> = {
  "packages/core": [],
  "packages/contract": ["core"],
  "packages/quality": ["core"],
  "packages/conformance": ["core", "contract"],
  "packages/host": ["core", "embedded", "open-source", "aws", "google", "azure"],
  "adapters/embedded": ["core", "quality"],
  "adapters/open-source": ["core", "quality"],
  "apps/server": ["core", "contract", "host", "quality"],
  "apps/serving": ["core"],
  "apps/cli": ["core", "contract", "host", "server", "serving"],
};

test("package.json files keep the dependency rule", () => {
  for (const [folder, names] of Object.entries(allowed)) {
    const manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    const ours = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith("@espalier/"));
    for (const name of ours)
      expect(names, `${folder} may not depend on ${name}`).toContain(name.slice("@espalier/".length));
  }
});

test("the lock file has the optional packages of every platform, without which `npm ci` refuses it", () => {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { optionalDependencies?: Record<string, string>; resolved?: string }>;
  };
  for (const [path, { optionalDependencies = {}, resolved }] of Object.entries(packages)) {
    expect(resolved ?? "", `${path} names a registry`).not.toMatch(/^https?:/);
    for (const name of Object.keys(optionalDependencies)) {
      const places = [`${path}/node_modules/${name}`, `node_modules/${name}`];
      expect(
        places.some((place) => place in packages),
        `${name}, optional for ${path}`,
      ).toBe(true);
    }
  }
});
