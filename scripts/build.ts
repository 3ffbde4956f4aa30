import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build, type Plugin } from "esbuild";
import { bundleServing } from "./bundle-serving.ts";
import { directImports } from "./direct-imports.ts";

/**
 * `npm run build`: the package `espalier` as it is published, in dist/package: JavaScript (Node strips no types under node_modules),
 * one file an entry point with shared chunks, everything of ours inside, every library a dependency.
 */
const root = resolve(import.meta.dirname, "..");
const target = join(root, "dist/package");
rmSync(target, { recursive: true, force: true });
mkdirSync(join(target, "dist"), { recursive: true });

const workspaces = ["packages", "adapters", "apps"].flatMap((group) =>
  readdirSync(join(root, group)).map((name) => join(root, group, name)),
);
const manifests = new Map(
  workspaces.map((folder) => [folder, JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))] as const),
);
const alias = Object.fromEntries(
  [...manifests]
    .filter(([, manifest]) => manifest.name.startsWith("@espalier/"))
    .map(([folder, manifest]) => [manifest.name, join(folder, "src/index.ts")]),
);

/** Loaded by every command, as seventy files with all its languages: inside it starts sooner. It stays a dependency, for its types and licence. */
const inside = new Set(["zod"]);
const external: Plugin = {
  name: "libraries-are-dependencies",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
      if (kind === "entry-point" || path.startsWith("@espalier/") || path.startsWith("node:")) return undefined;
      return inside.has(path) ? undefined : { path, external: true };
    });
  },
};

const result = await build({
  absWorkingDir: root,
  entryPoints: {
    espalier: "apps/cli/src/main.ts",
    index: "packages/core/src/index.ts",
    serving: "apps/serving/src/main.ts",
    "onnx-thread": "apps/serving/src/model/onnx-thread-main.ts",
    "builtin-step": "adapters/embedded/src/builtin-step-main.ts",
    "scoring-thread": "adapters/embedded/src/scoring-thread-main.ts",
    "typescript-step": "packages/host/src/typescript-step-main.ts",
    "record-reader": "apps/server/src/db/reader/reader-worker-main.ts",
  },
  outdir: join(target, "dist"),
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  alias,
  plugins: [external, directImports(alias)],
  chunkNames: "chunk-[hash]",
  metafile: true,
  logLevel: "warning",
});

/** Versions of the libraries that the bundle really imports. */
const pinned = new Map<string, string>();
for (const manifest of manifests.values()) {
  for (const [name, version] of Object.entries<string>({ ...manifest.devDependencies, ...manifest.dependencies })) {
    if (!name.startsWith("@espalier/")) pinned.set(name, version);
  }
}
const optional = new Set([...manifests.values()].flatMap((manifest) => Object.keys(manifest.peerDependencies ?? {})));
const imported = new Set([
  ...inside,
  ...Object.values(result.metafile.outputs)
    .flatMap((output) => output.imports)
    .filter((entry) => entry.external === true && !entry.path.startsWith("node:"))
    .map((entry) =>
      entry.path
        .split("/")
        .slice(0, entry.path.startsWith("@") ? 2 : 1)
        .join("/"),
    ),
]);
const dependencies: Record<string, string> = {};
for (const name of [...imported].sort()) {
  if (optional.has(name)) continue;
  const version = pinned.get(name);
  if (version === undefined) throw new Error(`The bundle imports ${name}, which no package.json names`);
  dependencies[name] = version;
}

const cli = JSON.parse(readFileSync(join(root, "apps/cli/package.json"), "utf8"));
const house = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const published = {
  name: cli.name,
  version: cli.version,
  description: house.description,
  license: cli.license,
  type: "module",
  engines: cli.engines,
  bin: { espalier: "dist/espalier.js" },
  exports: { ".": { types: "./types/index.d.ts", default: "./dist/index.js" } },
  dependencies,
  peerDependencies: Object.fromEntries([...optional].map((name) => [name, pinned.get(name) ?? "*"])),
  peerDependenciesMeta: Object.fromEntries([...optional].map((name) => [name, { optional: true }])),
  optionalDependencies: house.optionalDependencies,
};
writeFileSync(join(target, "package.json"), `${JSON.stringify(published, undefined, 2)}\n`);

execFileSync(
  process.execPath,
  [
    join(root, "node_modules/typescript/bin/tsc"),
    ...["-p", "packages/core", "--noEmit", "false", "--declaration", "--emitDeclarationOnly"],
    ...["--rootDir", "packages/core/src", "--outDir", join(target, "types")],
  ],
  { cwd: root, stdio: "inherit" },
);
for (const file of readdirSync(join(target, "types"), { recursive: true, encoding: "utf8" })) {
  if (file.endsWith(".test.d.ts")) rmSync(join(target, "types", file));
}
// Straight to its place: apps/web/dist belongs to control planes that run from this tree.
const toPackage = ["--outDir", join(target, "dist/web"), "--emptyOutDir", "--logLevel", "warn"];
execFileSync("npm", ["run", "--silent", "build", "-w", "@espalier/web", "--", ...toPackage], {
  cwd: root,
  stdio: "inherit",
});
await bundleServing(join(target, "dist/serving-image"));
for (const file of [
  "launcher.py",
  "ray_driver.py",
  "espalier_onnx.py",
  "model_worker.py",
  "export_onnx.py",
  "propose_trials.py",
  "espalier_run.py",
  "espalier_airflow.py",
])
  cpSync(join(root, "python", file), join(target, "dist", file));
cpSync(join(root, "README.md"), join(target, "README.md"));
cpSync(join(root, "LICENSE"), join(target, "LICENSE"));
const tracked = execFileSync("git", ["ls-files", "examples"], { cwd: root, encoding: "utf8" }).trim().split("\n");
for (const file of tracked) {
  if (/\.test(-support)?\.ts$/.test(file)) continue;
  const place = join(target, "dist", file);
  cpSync(join(root, file), place);
  // Outside this workspace the trunk is part of the one package there is.
  if (file.endsWith(".ts")) rewrite(place, (text) => text.replaceAll('"@espalier/core"', `"${cli.name}"`));
  if (file.endsWith("/package.json")) {
    rewrite(place, (text) => text.replace(/"@espalier\/core": "[^"]*"/, `"${cli.name}": "${cli.version}"`));
  }
}
console.log(`dist/package: ${Object.keys(dependencies).length} dependencies`);

function rewrite(path: string, change: (text: string) => string): void {
  writeFileSync(path, change(readFileSync(path, "utf8")));
}
