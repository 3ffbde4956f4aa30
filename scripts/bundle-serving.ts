import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";

/**
 * The model server as it goes into an image: every library inside, but onnxruntime-node, whose native parts are chosen by platform.
 * `npm run build` puts it into the package; in a checkout `espalier package` makes it anew: node scripts/bundle-serving.ts FOLDER
 */
const root = resolve(import.meta.dirname, "..");
const source = join(root, "apps/serving/src");

interface BundledPackage {
  name: string;
  version: string;
  license?: string;
}

export async function bundleServing(target: string): Promise<void> {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  // Worker threads are programs of their own: `model/onnx-thread-main.ts` stands beside the server as `onnx-thread.js`.
  const threads = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((file) =>
    /-thread-main\.ts$/.test(file),
  );
  const result = await build({
    absWorkingDir: root,
    entryPoints: {
      serving: join(source, "main.ts"),
      ...Object.fromEntries(
        threads.map((file) => [file.replace(/^.*\//, "").replace(/-main\.ts$/, ""), join(source, file)]),
      ),
    },
    outdir: target,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    external: ["onnxruntime-node"],
    alias: { "@espalier/core": join(root, "packages/core/src/index.ts") },
    // Libraries in the older module format ask for Node's own modules by `require`.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
    chunkNames: "chunk-[hash]",
    metafile: true,
    logLevel: "warning",
  });
  writeFileSync(join(target, "package.json"), '{ "type": "module" }\n');
  for (const file of ["model_worker.py"]) {
    if (existsSync(join(root, "python", file))) cpSync(join(root, "python", file), join(target, file));
  }
  const packages = bundledPackages(Object.keys(result.metafile.inputs));
  writeFileSync(join(target, "packages.json"), `${JSON.stringify(packages, undefined, 2)}\n`);
}

/** The npm packages that files come from, for the bill of materials. */
function bundledPackages(files: readonly string[]): BundledPackage[] {
  const folders = new Set(files.flatMap((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []));
  return [...folders]
    .map((folder): BundledPackage => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
      return { name, version, ...(typeof license === "string" ? { license } : {}) };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

if (process.argv[1] === import.meta.filename) {
  const target = process.argv[2];
  if (target === undefined) {
    console.error("Usage: node scripts/bundle-serving.ts FOLDER");
    process.exit(2);
  }
  await bundleServing(resolve(target));
}
