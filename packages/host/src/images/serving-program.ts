import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { EspalierError, type ImageComponent, type ImagePlatform, type LayerEntry, printPlatform } from "@espalier/core";
import { z } from "zod";
import { entryPoint } from "../entry-points.ts";
import { hostPlatform, nodeArchitecture } from "./host-platform.ts";
import { fileEntry, folderEntries } from "./local-layer.ts";

/** Where the model server lies in an image. */
export const servingFolder = "opt/espalier";

export interface ImagePart {
  entries: LayerEntry[];
  components: ImageComponent[];
}

const packageSchema = z.looseObject({ name: z.string(), version: z.string(), license: z.string().optional() });

/** The model server: all of its JavaScript, without what is native. `folder`: where a checkout builds it. */
export async function servingProgram(folder: string): Promise<ImagePart> {
  const source = await builtServing(folder);
  const packages = z.array(packageSchema).parse(JSON.parse(await readFile(join(source, "packages.json"), "utf8")));
  return {
    entries: await folderEntries(servingFolder, source, (path) => path !== "packages.json"),
    components: packages.map(npmComponent),
  };
}

const bundles = new Map<string, Promise<string>>();

/** In a published package it is there; a checkout bundles its source, once a process: its own code is no newer either. */
function builtServing(folder: string): Promise<string> {
  const place = entryPoint("serving-image");
  if (!place.endsWith(".ts")) return Promise.resolve(place);
  const bundle = bundles.get(folder) ?? bundleServing(place, folder);
  bundles.set(folder, bundle);
  // One that failed may be mended.
  bundle.catch(() => bundles.delete(folder));
  return bundle;
}

async function bundleServing(place: string, folder: string): Promise<string> {
  try {
    await promisify(execFile)(process.execPath, [place, folder]);
  } catch (cause) {
    const { stderr } = cause as { stderr?: string };
    throw new EspalierError(
      "INTERNAL",
      `The model server could not be bundled: ${stderr?.trim().split("\n").at(-1) ?? cause}`,
      {
        cause,
        hint: "In a checkout this takes esbuild: npm ci.",
      },
    );
  }
  return folder;
}

/** onnxruntime with the native files of one platform: a tenth of its package, and without CUDA. */
export async function onnxRuntime(platform: ImagePlatform): Promise<ImagePart> {
  const here = createRequire(entryPoint("serving"));
  const node = dirname(here.resolve("onnxruntime-node/package.json"));
  const common = dirname(packageFileOf(createRequire(join(node, "package.json")).resolve("onnxruntime-common")));
  const native = `bin/napi-v6/${platform.os}/${nodeArchitecture(platform)}/`;
  const isScript = (path: string): boolean => path === "package.json" || /^dist\/.*\.js$/.test(path);
  const isNative = (path: string): boolean =>
    path.startsWith(native) && !/providers_(cuda|tensorrt)/.test(path) && /\.(node|so(\.\d+)*)$/.test(path);
  const modules = `${servingFolder}/node_modules`;
  const entries = [
    ...(await folderEntries(`${modules}/onnxruntime-node`, node, (path) => isScript(path) || isNative(path))),
    ...(await folderEntries(
      `${modules}/onnxruntime-common`,
      common,
      (path) => path === "package.json" || /^dist\/cjs\/.*\.(js|json)$/.test(path),
    )),
  ];
  if (!entries.some(({ path }) => path.endsWith(".node"))) {
    throw new EspalierError("UNSUPPORTED", `onnxruntime-node has no files for ${printPlatform(platform)}`);
  }
  const components = await Promise.all([node, common].map(async (folder) => npmComponent(await readPackage(folder))));
  return { entries, components };
}

/** Node for the image. NOT_INSTALLED with the command that brings the one of another platform. */
export async function nodeRuntime(platform: ImagePlatform): Promise<ImagePart> {
  const name = `node-${platform.os}-${nodeArchitecture(platform)}`;
  const place = `${servingFolder}/bin/node`;
  const here = createRequire(entryPoint("serving"));
  const manifest = resolved(here, `${name}/package.json`);
  if (manifest !== undefined) {
    const { version } = await readPackage(dirname(manifest));
    return nodePart(await fileEntry(place, join(dirname(manifest), "bin/node"), { executable: true }), version);
  }
  const host = hostPlatform();
  if (host !== undefined && printPlatform(host) === printPlatform(platform)) {
    return nodePart(await fileEntry(place, process.execPath, { executable: true }), process.versions.node);
  }
  throw new EspalierError(
    "NOT_INSTALLED",
    `An image for ${printPlatform(platform)} needs Node for it, which is not installed`,
    {
      hint: `npm install --no-save --force ${name}@24, or a --base with Node 24 in it (one that sets NODE_VERSION).`,
    },
  );
}

function nodePart(entry: LayerEntry, version: string): ImagePart {
  const purl = `pkg:generic/node@${version}`;
  return { entries: [entry], components: [{ kind: "application", name: "node", version, license: "MIT", purl }] };
}

function npmComponent({ name, version, license }: z.infer<typeof packageSchema>): ImageComponent {
  return {
    kind: "library",
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    ...(license === undefined ? {} : { license }),
  };
}

async function readPackage(folder: string): Promise<z.infer<typeof packageSchema>> {
  return packageSchema.parse(JSON.parse(await readFile(join(folder, "package.json"), "utf8")));
}

function resolved(from: NodeJS.Require, name: string): string | undefined {
  try {
    return from.resolve(name);
  } catch {
    return undefined;
  }
}

/** The package.json above a module: one without it in its `exports` can not be resolved. */
function packageFileOf(module: string): string {
  for (let folder = dirname(module); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file) && !/\/dist(\/|$)/.test(folder)) return file;
  }
  throw new EspalierError("NOT_INSTALLED", `${module} belongs to no package`, { hint: "npm ci" });
}
