import { execFileSync, spawnSync } from "node:child_process";
import { createReadStream, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildImage, fileLayer, type LayerEntry, pushImage } from "@espalier/core";
import { createOciLayout } from "@espalier/embedded";
import { hostPlatform } from "@espalier/host";

/** Sources of compiled files, tests and other packages that no model needs. */
const leftOut = /\/__pycache__$|\/tests?$|\/config-3[^/]*$|\.a$/;

/** A base image of this machine's own Python with one of its environments, where both have the places that they have here. */
export async function writePythonBase(layout: string, python: string): Promise<void> {
  const environment = dirname(dirname(python));
  const home = execFileSync(python, ["-c", "import sys; print(sys.base_prefix)"], { encoding: "utf8" }).trim();
  const entries = new Map<string, LayerEntry>();
  takeFolder(entries, join(home, "bin"), leftOut);
  takeFolder(entries, join(home, "lib"), new RegExp(`${leftOut.source}|/site-packages$`));
  takeFolder(entries, environment, leftOut);
  for (const library of systemLibraries(
    [...entries.keys()].filter((path) => /\.so(\.\d+)*$|bin\/python3\.\d+$/.test(path)),
  )) {
    takeFile(entries, library, realpathSync(library));
  }
  entries.set("tmp", { kind: "folder", path: "tmp", mode: 0o1777 });
  const platform = hostPlatform();
  if (platform === undefined) throw new Error("This machine is none that an image runs on");
  const image = buildImage({
    platform,
    layers: [await fileLayer("Python", [...entries.values()])],
    entrypoint: [],
    command: [],
    environment: { PATH: "/usr/bin:/bin" },
    labels: {},
    user: "0",
    workingDirectory: "/",
    port: 8080,
    annotations: {},
  });
  await pushImage(createOciLayout(layout), "base", image, { tag: "python" });
}

function takeFolder(entries: Map<string, LayerEntry>, folder: string, skip: RegExp): void {
  for (const found of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, found.name);
    if (skip.test(path)) continue;
    if (found.isDirectory()) takeFolder(entries, path, skip);
    else takeFile(entries, path, path);
  }
}

function takeFile(entries: Map<string, LayerEntry>, place: string, source: string): void {
  const path = place.slice(1);
  const { mode } = lstatSync(source);
  if (lstatSync(source).isSymbolicLink()) entries.set(path, { kind: "link", path, target: readlinkSync(source) });
  else if (lstatSync(source).isFile()) {
    const open = () => createReadStream(source, { highWaterMark: 1 << 20 });
    entries.set(path, { kind: "file", path, size: statSync(source).size, executable: (mode & 0o111) !== 0, open });
  }
}

/** What the loader finds for these files outside of them. */
function systemLibraries(paths: readonly string[]): Set<string> {
  const { stdout } = spawnSync(
    "ldd",
    paths.map((path) => `/${path}`),
    { encoding: "utf8", maxBuffer: 1 << 28 },
  );
  return new Set([...stdout.matchAll(/(?:=>|^)\s+(\/(?:usr\/)?lib\S+)/gm)].flatMap((match) => match[1] ?? []));
}
