import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** Images of this machine's own files, since no registry of images is reached: busybox, and with it Debian's Python. */
export const pauseImage = "localhost/pause:1";
export const pythonImage = "localhost/python:3";

const busybox = "/bin/busybox";
const python = "/usr/bin/python3";

export function importImages(folder: string, load: (archive: string) => void): void {
  const pause = join(folder, "pause");
  layBusybox(pause);
  load(archiveOf(pause, pauseImage, ["/bin/sleep", "2147483647"]));
  const withPython = join(folder, "python");
  layBusybox(withPython);
  layPython(withPython);
  load(archiveOf(withPython, pythonImage, ["python3"]));
}

function layBusybox(root: string): void {
  for (const name of ["bin", "tmp", "etc"]) mkdirSync(join(root, name), { recursive: true });
  copyFileSync(busybox, join(root, "bin/busybox"));
  const applets = spawnSync(busybox, ["--list"], { encoding: "utf8" }).stdout.split("\n");
  for (const applet of applets) {
    if (applet !== "" && applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet));
  }
}

function layPython(root: string): void {
  const version = spawnSync(python, ["-c", "import sys; print('python%d.%d' % sys.version_info[:2])"], {
    encoding: "utf8",
  }).stdout.trim();
  const program = `/usr/bin/${version}`;
  const library = `/usr/lib/${version}`;
  mkdirSync(join(root, "usr/bin"), { recursive: true });
  copyFileSync(program, join(root, program));
  symlinkSync(version, join(root, "usr/bin/python3"));
  cpSync(library, join(root, library), {
    recursive: true,
    filter: (path) => !/\/(test|lib2to3|ensurepip|__pycache__|config-3[^/]*)$/.test(path),
  });
  const modules = readdirSync(join(library, "lib-dynload")).map((name) => join(library, "lib-dynload", name));
  const linked = spawnSync("ldd", [program, ...modules], { encoding: "utf8" }).stdout;
  for (const [, path = ""] of linked.matchAll(/(\/\S+\.so\S*) \(0x/g)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
}

/** A Docker archive of one layer. */
function archiveOf(root: string, name: string, command: string[]): string {
  const folder = `${root}.image`;
  mkdirSync(folder);
  tar("-C", root, "-cf", join(folder, "layer.tar"), ".");
  const digest = createHash("sha256")
    .update(readFileSync(join(folder, "layer.tar")))
    .digest("hex");
  const config = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: { Cmd: command, Env: ["PATH=/usr/local/bin:/usr/bin:/bin"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] },
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const manifest = [{ Config: "config.json", RepoTags: [name], Layers: ["layer.tar"] }];
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  const archive = `${root}.tar`;
  tar("-C", folder, "-cf", archive, "manifest.json", "config.json", "layer.tar");
  for (const done of [folder, root]) rmSync(done, { recursive: true });
  return archive;
}

function tar(...words: string[]): void {
  const done = spawnSync("tar", words, { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`tar: ${done.stderr.trim()}`);
}
