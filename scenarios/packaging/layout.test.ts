import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildImage, buildIndex, fileLayer, parsePlatform, pushImage, putChecked } from "@espalier/core";
import { createOciLayout } from "@espalier/embedded";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PackagingProject, packagingProject, readBlob } from "./project.ts";

interface Document {
  components: { type: string; purl?: string }[];
  predicate: object;
  subject: object[];
}

/** Images in folders, without any server: what is in them, that they are the same every time, and what is refused. */
let project: PackagingProject;
let layout: string;

beforeAll(async () => {
  project = await packagingProject();
  layout = join(project.folder, "images");
});
afterAll(() => project?.close());

test("the same version is the same image, and another version is one other layer", async () => {
  const first = await project.pack(["clicks@1", "--output", "images"]);
  expect(first.image).toBe(`clicks:1@${first.digest}`);
  expect(first.layers.map(({ what }) => what)).toEqual([
    "C libraries of the machine that built it",
    "Node",
    "onnxruntime",
    "Espalier's model server",
    "model clicks 1",
  ]);
  const again = await project.pack(["clicks@1", "--output", "images"]);
  expect([again.digest, again.sentBytes, again.attached]).toEqual([first.digest, 0, first.attached]);
  const elsewhere = await project.pack(["clicks@1", "--output", "elsewhere"]);
  expect(elsewhere.digest).toBe(first.digest);

  const second = await project.pack(["clicks@2", "--output", "images", "--tag", "newest"]);
  expect(second.digest).not.toBe(first.digest);
  const digests = (one: typeof first): string[] => one.layers.map(({ digest }) => digest);
  expect(digests(second).slice(0, -1)).toEqual(digests(first).slice(0, -1));
  expect(second.sentBytes).toBe(second.layers.at(-1)?.bytes);
  expect((await project.pack(["clicks@1", "--output", "images"])).digest).toBe(first.digest);
});

test("an image says what it runs, what it is made of and where it comes from", async () => {
  const { digest, attached } = await project.pack(["clicks@1", "--output", "images"]);
  const manifest = readBlob<{ config: { digest: string }; annotations: Record<string, string> }>(layout, digest);
  expect(manifest.annotations).toMatchObject({
    "org.opencontainers.image.title": "clicks",
    "org.opencontainers.image.version": "1",
  });
  const { config, architecture } = readBlob<Record<string, unknown>>(layout, manifest.config.digest);
  expect(config).toMatchObject({
    User: "10001:10001",
    Entrypoint: ["/opt/espalier/bin/node", "/opt/espalier/serving.js"],
    Cmd: ["serve"],
    Env: ["ESPALIER_MODEL_NAME=clicks", "ESPALIER_MODEL_VERSION=1"],
    ExposedPorts: { "8080/tcp": {} },
    Labels: { "com.amazonaws.sagemaker.capabilities.multi-models": "true" },
  });
  expect(["amd64", "arm64"]).toContain(architecture);

  const documents = Object.fromEntries(
    attached.map(({ type, digest: one }) => {
      const { layers, subject } = readBlob<{ layers: { digest: string }[]; subject: object }>(layout, one);
      expect(subject).toMatchObject({ digest });
      return [type, readBlob<Document>(layout, layers[0]?.digest ?? "")];
    }),
  );
  const bill = documents["application/vnd.cyclonedx+json"];
  const purls = bill?.components.map(({ purl }) => purl ?? "").join(" ");
  for (const name of ["onnxruntime-node@", "zod@", "undici@", "generic/node@"]) expect(purls).toContain(name);
  expect(bill?.components[0]).toMatchObject({ type: "machine-learning-model", name: "clicks", version: "1" });
  const statement = documents["application/vnd.in-toto+json"];
  expect(statement?.subject).toEqual([{ name: "clicks", digest: { sha256: digest.slice(7) } }]);
  expect(statement?.predicate).toMatchObject({
    buildDefinition: {
      externalParameters: { model: "models:/clicks/1" },
      internalParameters: { project: "packaging", run: { pipeline: "train", step: "register" } },
    },
    runDetails: { metadata: { invocationId: expect.any(String) } },
  });
});

test("a signature is one that OpenSSL accepts, is not made twice, and stands where cosign looks", async () => {
  const key = join(project.folder, "key.pem");
  execFileSync("openssl", ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]);
  const { digest } = await project.pack(["clicks@1", "--output", "images", "--sign", key]);
  const tags = (): Record<string, string> => {
    const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as {
      manifests: { digest: string; annotations?: Record<string, string> }[];
    };
    return Object.fromEntries(
      index.manifests.map((one) => [one.annotations?.["org.opencontainers.image.ref.name"] ?? "", one.digest]),
    );
  };
  const signed = tags()[`sha256-${digest.slice(7)}.sig`] ?? "";
  await project.pack(["clicks@1", "--output", "images", "--sign", key]);
  expect(tags()[`sha256-${digest.slice(7)}.sig`]).toBe(signed);

  const { layers } = readBlob<{ layers: { digest: string; mediaType: string; annotations: Record<string, string> }[] }>(
    layout,
    signed,
  );
  expect(layers.map(({ mediaType }) => mediaType)).toEqual(["application/vnd.dev.cosign.simplesigning.v1+json"]);
  const [layer] = layers;
  const payload = join(layout, "blobs/sha256", layer?.digest.slice(7) ?? "");
  expect(JSON.parse(readFileSync(payload, "utf8")).critical.image["docker-manifest-digest"]).toBe(digest);
  const signature = join(project.folder, "signature");
  writeFileSync(signature, Buffer.from(layer?.annotations["dev.cosignproject.cosign/signature"] ?? "", "base64"));
  const verify = (file: string) =>
    spawnSync(
      "sh",
      [
        "-c",
        `openssl ec -in "$1" -pubout 2>/dev/null | openssl dgst -sha256 -verify /dev/stdin -signature "$2" "$3"`,
        "sh",
        key,
        signature,
        file,
      ],
      { encoding: "utf8" },
    ).stdout.trim();
  expect(verify(payload)).toBe("Verified OK");
  expect(verify(key)).toBe("Verification failure");
});

test("an image builds upon another in a folder", async () => {
  const below = await project.pack(["clicks@1", "--output", "images"]);
  const upon = await project.pack(["clicks@2", "--output", "upon", "--base", `oci:images:1`]);
  const digests = (one: typeof below): string[] => one.layers.map(({ digest }) => digest);
  expect(digests(upon).slice(0, 5)).toEqual(digests(below));
  expect(upon.layers.at(-1)?.what).toBe("model clicks 2");
});

test("one name stands for images of two platforms, each with its own native files, upon the base's Node", async () => {
  const base = createOciLayout(join(project.folder, "base"));
  const images = await Promise.all(
    ["amd64", "arm64"].map(async (architecture) =>
      buildImage({
        platform: parsePlatform(`linux/${architecture}`),
        layers: [await fileLayer("marker", [{ kind: "folder", path: `for-${architecture}` }])],
        entrypoint: ["node"],
        command: [],
        environment: { PATH: "/usr/local/bin:/usr/bin:/bin", NODE_VERSION: "24.1.0" },
        labels: {},
        user: "0",
        workingDirectory: "/",
        port: 80,
        annotations: {},
      }),
    ),
  );
  for (const image of images) await pushImage(base, "base", image);
  const two = buildIndex(images, {});
  await putChecked(base, "base", "two", two);

  const platforms = ["--platform", "linux/amd64,linux/arm64"];
  const packed = await project.pack([
    "clicks@1",
    "--output",
    "images",
    "--tag",
    "both",
    "--base",
    "oci:base:two",
    ...platforms,
  ]);
  const index = readBlob<{ manifests: { digest: string; platform: object }[] }>(layout, packed.digest);
  expect(index.manifests.map(({ platform }) => platform)).toEqual(images.map(({ platform }) => platform));
  const [amd64, arm64] = index.manifests.map(({ digest }) => {
    const manifest = readBlob<{ config: { digest: string }; layers: { digest: string }[] }>(layout, digest);
    const { config } = readBlob<{ config: { Entrypoint: string[]; Env: string[] } }>(layout, manifest.config.digest);
    expect(config.Entrypoint).toEqual(["node", "/opt/espalier/serving.js"]);
    expect(config.Env).toContain("NODE_VERSION=24.1.0");
    return manifest.layers.map((layer) => layer.digest);
  });
  // Base, onnxruntime; then the server and the model, which are the same for both.
  expect([amd64?.length, arm64?.length]).toEqual([4, 4]);
  expect(amd64?.slice(0, 2).filter((digest) => arm64?.includes(digest))).toEqual([]);
  expect(amd64?.slice(2)).toEqual(arm64?.slice(2));
  const again = await project.pack([
    "clicks@1",
    "--output",
    "images",
    "--tag",
    "both",
    "--base",
    "oci:base:two",
    ...platforms,
  ]);
  expect([again.digest, again.sentBytes]).toEqual([packed.digest, 0]);

  const other = process.arch === "x64" ? "linux/arm64" : "linux/amd64";
  const alone = await project.espalier(["package", "clicks@1", "--output", "x", "--platform", other]);
  expect([alone.code, alone.err]).toEqual([3, expect.stringContaining("--base")]);
  const wrong = await project.espalier([
    "package",
    "clicks@1",
    "--output",
    "x",
    "--platform",
    other,
    "--base",
    "oci:images:1",
  ]);
  expect([wrong.code, wrong.err]).toEqual([3, expect.stringContaining(`is not for ${other}`)]);
});

test("what can not be packaged is told before anything is built, with what to do", async () => {
  await project.pack(["clicks@1", "--output", "images"]);
  const key = join(project.folder, "rsa.pem");
  execFileSync("openssl", ["genrsa", "-out", key, "2048"], { stdio: "ignore" });
  const cases: [string[], number, RegExp][] = [
    [["clicks"], 2, /not model@version/],
    [["nothing@1"], 6, /espalier model list/],
    [["clicks@9"], 6, /espalier model show clicks/],
    [["clicks@3", "--output", "x"], 3, /runs in Python \(python_function, sklearn\).*--base.*--python/s],
    [["clicks@1", "--output", "x", "--base", "./no-such-folder"], 6, /no OCI image layout in .*skopeo copy/s],
    [["clicks@1", "--output", "x", "--base", "debian"], 2, /registry's host/],
    [["clicks@1", "--output", "x", "--base", "oci:images:nothing"], 6, /no tag "nothing"/],
    [["clicks@1", "--output", "x", "--base", "127.0.0.1:1/debian:12"], 7, /can not be reached.*Is the registry up/s],
    [["clicks@1", "--push", "127.0.0.1:1/clicks"], 7, /can not be reached.*Is the registry up/s],
    [["clicks@1", "--push", "clicks:1"], 2, /registry's host/],
    [["clicks@1", "--push", "127.0.0.1:1/clicks", "--output", "x"], 2, /--push or --output/],
    [["clicks@1", "--output", "x", "--tag", "not a tag"], 2, /can not be a tag/],
    [["clicks@1", "--output", "x", "--platform", "linux/s390x"], 3, /no images for the platform/],
    [["clicks@1", "--output", "x", "--sign", "no-such.pem"], 6, /can not be read.*openssl ecparam/s],
    [["clicks@1", "--output", "x", "--sign", key], 2, /curve P-256/],
    [["clicks@1", "--output", "models/first/signature.json/x"], 2, /a file is in its way/],
    [["clicks@1", "--output", "models"], 2, /something else in it/],
    [["clicks@3", "--output", "x", "--python", "/usr/bin/python3"], 3, /runs in Python/],
  ];
  for (const [words, code, message] of cases) {
    const answer = await project.espalier(["package", ...words]);
    expect([words, answer.code, answer.err]).toEqual([words, code, expect.stringMatching(message)]);
  }
});

test("a damaged layer of a base is refused, and nothing is published", async () => {
  const below = await project.pack(["clicks@1", "--output", "damaged"]);
  const [layer] = below.layers;
  const path = join(project.folder, "damaged/blobs/sha256", layer?.digest.slice(7) ?? "");
  const bytes = readFileSync(path);
  bytes[bytes.byteLength / 2] = (bytes[bytes.byteLength / 2] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  const answer = await project.espalier([
    "package",
    "clicks@2",
    "--output",
    "refused",
    "--base",
    "./damaged",
    "--tag",
    "x",
  ]);
  expect([answer.code, answer.err]).toEqual([8, expect.stringContaining("is damaged")]);
  const left = spawnSync("ls", [join(project.folder, "refused/index.json")]);
  expect(left.status).not.toBe(0);
});

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)(
  `a full disk is told, and the same command goes on${isRoot ? "" : " (skipped: only root may mount one)"}`,
  async () => {
    const disk = join(project.folder, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=100m", "tmpfs", disk]);
    try {
      const answer = await project.espalier(["package", "clicks@1", "--output", join(disk, "images")]);
      expect([answer.code, answer.err]).toEqual([7, expect.stringContaining("disk is full")]);
      // Not half an image, and nothing of the layer that did not fit.
      expect(existsSync(join(disk, "images/index.json"))).toBe(false);
      expect(readdirSync(join(disk, "images/blobs/sha256")).filter((name) => name.includes("tmp"))).toEqual([]);
      execFileSync("mount", ["-o", "remount,size=400m", disk]);
      const packed = await project.pack(["clicks@1", "--output", join(disk, "images")]);
      expect(packed.heldBytes).toBeGreaterThan(0);
      expect(readFileSync(join(disk, "images/index.json"), "utf8")).toContain(packed.digest);
    } finally {
      execFileSync("umount", [disk]);
    }
  },
);
