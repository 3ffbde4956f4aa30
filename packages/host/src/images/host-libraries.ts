import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { EspalierError, type ImageComponent, type ImagePlatform, type LayerEntry, printPlatform } from "@espalier/core";
import { hostPlatform } from "./host-platform.ts";
import { fileEntry } from "./local-layer.ts";

/**
 * What Node and onnxruntime load beside themselves, and what names are looked up with. Some of them are part of libc.so.6 in newer systems,
 * which keep empty ones for older programs.
 */
const wanted = [
  "libc.so.6",
  "libm.so.6",
  "libdl.so.2",
  "librt.so.1",
  "libpthread.so.0",
  "libresolv.so.2",
  "libnss_dns.so.2",
  "libnss_files.so.2",
  "libstdc++.so.6",
  "libgcc_s.so.1",
  "libatomic.so.1",
];
/** Without these no Node starts. */
const required = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libstdc++.so.6", "libgcc_s.so.1"];

const certificates = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
];

/**
 * The smallest base: the C and C++ libraries of this machine, its certificates, and the names of two users. It takes no network and no
 * container engine, and gives the same layer on the same system. UNSUPPORTED on a machine of another platform, or without glibc.
 */
export async function hostLibraries(
  platform: ImagePlatform,
): Promise<{ entries: LayerEntry[]; components: ImageComponent[] }> {
  const { version, objects } = glibcOf(platform);
  const entries: LayerEntry[] = [];
  const found = new Set<string>();
  const folders = [...new Set(objects.map((object) => dirname(object)))];
  const loader = objects.find((object) => basename(object).startsWith("ld-linux"));
  if (loader !== undefined) entries.push(await libraryAt(loader));
  for (const name of wanted) {
    for (const folder of folders) {
      const path = join(folder, name);
      if (found.has(name) || !(await exists(path))) continue;
      found.add(name);
      entries.push(await libraryAt(path));
    }
  }
  const missing = required.filter((name) => !found.has(name));
  if (loader === undefined || missing.length > 0) {
    throw noLibraries(`${missing.join(", ") || "the loader"} was not found`);
  }
  for (const path of certificates) {
    if (!(await exists(path))) continue;
    entries.push(await fileEntry(certificates[0] ?? path, path));
    break;
  }
  entries.push(
    textEntry(
      "etc/passwd",
      "root:x:0:0:root:/root:/sbin/nologin\nespalier:x:10001:10001:espalier:/tmp:/sbin/nologin\n",
    ),
    textEntry("etc/group", "root:x:0:\nespalier:x:10001:\n"),
    textEntry("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    { kind: "folder", path: "tmp", mode: 0o1777 },
  );
  return {
    entries,
    components: [
      { kind: "library", name: "glibc", version, license: "LGPL-2.1-or-later" },
      { kind: "library", name: "libstdc++", license: "GPL-3.0-with-GCC-exception" },
    ],
  };
}

/** Where the loader of this very process found its libraries: no guess at how this system lays them out. */
function glibcOf(platform: ImagePlatform): { version: string; objects: string[] } {
  const here = hostPlatform();
  if (printPlatform(platform) !== (here === undefined ? "" : printPlatform(here))) {
    throw noLibraries(`this machine is not ${printPlatform(platform)}`);
  }
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report;
  const excluded = report.excludeNetwork ?? false;
  // Asking for names of addresses takes seconds.
  report.excludeNetwork = true;
  const { header, sharedObjects } = report.getReport() as unknown as {
    header: { glibcVersionRuntime?: string };
    sharedObjects: string[];
  };
  report.excludeNetwork = excluded;
  if (header.glibcVersionRuntime === undefined) throw noLibraries("this machine's C library is not glibc");
  return { version: header.glibcVersionRuntime, objects: sharedObjects.filter((object) => object.startsWith("/")) };
}

function noLibraries(why: string): EspalierError {
  return new EspalierError(
    "UNSUPPORTED",
    `The image has no base, and the libraries of this machine can not be it: ${why}`,
    {
      hint: "Give one with --base: an image with glibc, such as Debian's, from a registry or as a folder (OCI layout).",
    },
  );
}

async function libraryAt(path: string): Promise<LayerEntry> {
  return fileEntry(path, await realpath(path), { executable: true });
}

function textEntry(path: string, text: string): LayerEntry {
  const bytes = Buffer.from(text);
  return {
    kind: "file",
    path,
    size: bytes.byteLength,
    executable: false,
    async *open() {
      yield bytes;
    },
  };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
