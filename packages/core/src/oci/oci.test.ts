import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { buildImage, parsePlatform } from "./image.ts";
import { parseImageReference, printImageReference } from "./image-reference.ts";
import { fileLayer } from "./layer.ts";
import { readSigningKey } from "./signature.ts";
import { type LayerEntry, tarArchive, tarSize } from "./tar.ts";

function file(path: string, text: string, executable = false): LayerEntry {
  const bytes = Buffer.from(text);
  return {
    kind: "file",
    path,
    size: bytes.byteLength,
    executable,
    async *open() {
      yield bytes;
    },
  };
}

const longName = `${"folder-with-a-long-name/".repeat(6)}Modell größer.onnx`;
const entries: LayerEntry[] = [
  file("opt/ml/model/signature.json", "{}"),
  file("opt/run", "#!/bin/sh\n", true),
  file(longName, "x".repeat(1000)),
  { kind: "link", path: "opt/link", target: "run" },
  { kind: "folder", path: "tmp", mode: 0o1777 },
];

async function bytesOf(some: readonly LayerEntry[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(tarArchive(some)));
}

test("a layer is what tar reads: contents, modes, links, long names, no times of ours", async () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-tar-"));
  try {
    const archive = join(folder, "layer.tar");
    const bytes = await bytesOf(entries);
    writeFileSync(archive, bytes);
    expect(tarSize(entries)).toBe(bytes.byteLength);
    const listing = execFileSync("tar", ["--full-time", "--utc", "-tvf", archive], { encoding: "utf8" });
    const lines = listing.trim().split("\n");
    expect(lines.every((line) => line.includes("1980-01-01 00:00:00") && line.includes("0/0"))).toBe(true);
    // Folders come before what they hold, and each is there once.
    expect(lines.map((line) => line.split("00:00:00 ")[1]).slice(-7)).toEqual([
      "opt/",
      "opt/link -> run",
      "opt/ml/",
      "opt/ml/model/",
      "opt/ml/model/signature.json",
      "opt/run",
      "tmp/",
    ]);
    execFileSync("tar", ["-xpf", archive, "-C", folder]);
    expect(readFileSync(join(folder, longName), "utf8")).toBe("x".repeat(1000));
    expect(readlinkSync(join(folder, "opt/link"))).toBe("run");
    expect(statSync(join(folder, "opt/run")).mode & 0o777).toBe(0o755);
    expect(statSync(join(folder, "opt/ml/model/signature.json")).mode & 0o777).toBe(0o644);
    expect(statSync(join(folder, "tmp")).mode & 0o7777).toBe(0o1777);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("equal entries are one digest in any order; another byte is another", async () => {
  const one = await fileLayer("a", entries);
  expect((await fileLayer("b", [...entries].reverse())).descriptor).toEqual(one.descriptor);
  const changed = await fileLayer("a", [...entries, file("opt/one-more", "")]);
  expect(changed.descriptor.digest).not.toBe(one.descriptor.digest);
  expect(one.diffId).toBe(one.descriptor.digest);
});

test("a layer refuses what leads out, what means a deletion, what is there twice, and a file that changes", async () => {
  const codeOf = async (...some: LayerEntry[]): Promise<unknown> =>
    bytesOf(some).then(
      () => "packed",
      (error) => error.code,
    );
  for (const path of ["../up", "/etc/passwd", "a//b", "a/./b", "", "nul\0"])
    expect(await codeOf(file(path, ""))).toBe("INVALID_INPUT");
  expect(await codeOf(file("opt/.wh.passwd", ""))).toBe("INVALID_INPUT");
  expect(await codeOf(file("a", ""), file("a", ""))).toBe("INVALID_INPUT");
  expect(await codeOf(file("a", ""), file("a/b", ""))).toBe("INVALID_INPUT");
  const growing = { ...file("a", "grown"), size: 3 } as LayerEntry;
  const shrunk = { ...file("a", "short"), size: 30 } as LayerEntry;
  expect(await codeOf(growing)).toBe("CORRUPTED");
  expect(await codeOf(shrunk)).toBe("CORRUPTED");
  expect(await codeOf(file("a", ""))).toBe("packed");
});

test("an image builds upon its base: environment and labels are merged, history and layers kept, all else is ours", async () => {
  const platform = parsePlatform("linux/amd64");
  const layer = await fileLayer("model", entries);
  const below = await fileLayer("base", [file("bin/sh", "", true)]);
  const settings = {
    platform,
    layers: [layer],
    entrypoint: ["/bin/server"],
    command: ["serve"],
    environment: { PATH: "/ours", NAME: "flights" },
    labels: { title: "flights" },
    user: "10001:10001",
    workingDirectory: "/",
    port: 8080,
    annotations: { title: "flights" },
    createdAt: 0,
  };
  const config = {
    Env: ["PATH=/theirs", "LANG=C"],
    Labels: { maintainer: "them" },
    Volumes: { "/data": {} },
    User: "root",
  };
  const base = {
    name: "base",
    digest: below.descriptor.digest,
    platform,
    config: { ...platform, config, rootfs: { diff_ids: [below.diffId] } },
    history: [{ created_by: "them" }],
    layers: [below],
  };
  const image = buildImage({ ...settings, base });
  expect(JSON.parse(Buffer.from(image.config.content).toString())).toEqual({
    os: "linux",
    architecture: "amd64",
    created: "1970-01-01T00:00:00.000Z",
    config: {
      User: "10001:10001",
      WorkingDir: "/",
      Entrypoint: ["/bin/server"],
      Cmd: ["serve"],
      Env: ["LANG=C", "PATH=/ours", "NAME=flights"],
      Labels: { maintainer: "them", title: "flights" },
      Volumes: { "/data": {} },
      ExposedPorts: { "8080/tcp": {} },
    },
    rootfs: { type: "layers", diff_ids: [below.diffId, layer.diffId] },
    history: [
      { created_by: "them" },
      { created: "1970-01-01T00:00:00.000Z", created_by: "espalier package", comment: "model" },
    ],
  });
  expect(buildImage({ ...settings, base }).descriptor).toEqual(image.descriptor);
  expect(buildImage({ ...settings, base, command: ["other"] }).descriptor.digest).not.toBe(image.descriptor.digest);
});

test("names of images are read whole, and what is none is told", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  for (const text of [
    "127.0.0.1:5000/flights",
    "registry.example.com/team/flights:3",
    `localhost/a/b:x@${digest}`,
    `[::1]:5000/a@${digest}`,
  ]) {
    expect(printImageReference(parseImageReference(text))).toBe(text);
  }
  for (const text of [
    "flights",
    "team/flights",
    "registry.example.com/Flights",
    "registry.example.com/a:",
    "registry.example.com/",
    "a.b/c@sha256:1",
    "a.b/c:d:e",
    "../a.b/c",
    "a.b/../c",
    "",
  ]) {
    expect(() => parseImageReference(text), text).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
  }
  expect(() => parsePlatform("linux/riscv64")).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
});

test("a signing key is one that cosign knows, and is never quoted", () => {
  const pem = (options: object, type = "ec") =>
    (generateKeyPairSync as (type: string, options: object) => { privateKey: string })(type, {
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
      ...options,
    }).privateKey;
  const key = readSigningKey(pem({ namedCurve: "P-256" }));
  const bytes = Buffer.from("payload");
  expect(key.verifies(bytes, key.sign(bytes))).toBe(true);
  expect(key.verifies(Buffer.from("other"), key.sign(bytes))).toBe(false);
  const encrypted = pem({
    namedCurve: "P-256",
    privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "open" },
  });
  expect(readSigningKey(encrypted, "open").publicKey).toContain("PUBLIC KEY");
  const wrong = [
    ["nonsense with a secret in it"],
    [pem({ namedCurve: "P-384" })],
    [pem({ modulusLength: 2048 }, "rsa")],
    [encrypted],
    [encrypted, "shut"],
    ["-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"],
  ] as const;
  for (const [text, passphrase] of wrong) {
    const failing = (): unknown => readSigningKey(text, passphrase);
    expect(failing).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
    expect(failing).not.toThrow(/secret|AAAA/);
  }
});
