import { type ByteStream, digestOfBytes, type ImageRegistry, type OciDescriptor } from "@espalier/core";
import { caseRunner, codeOf, type Skips, type TestRunner } from "./suite.ts";

export interface ImageRegistrySubject {
  open(): Promise<{ registry: ImageRegistry; close(): Promise<void> }>;
  skips?: Skips;
}

async function* streamOf(bytes: Uint8Array): ByteStream {
  yield bytes;
}

async function read(body: ByteStream): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const descriptorOf = (text: string): OciDescriptor => ({
  mediaType: "application/octet-stream",
  digest: digestOfBytes(text),
  size: Buffer.byteLength(text),
});
const manifestOf = (...layers: OciDescriptor[]): Uint8Array =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: layers[0], layers }));

/** Every image registry passes this. */
export function imageRegistryConformance(runner: TestRunner, subject: ImageRegistrySubject): void {
  const { expect } = runner;
  const { it, finish } = caseRunner(runner, subject.skips);
  const withRegistry = (name: string, body: (registry: ImageRegistry) => Promise<void>): void =>
    it(name, async () => {
      const { registry, close } = await subject.open();
      try {
        await body(registry);
      } finally {
        await close();
      }
    });
  const putText = async (registry: ImageRegistry, text: string): Promise<OciDescriptor> => {
    const descriptor = descriptorOf(text);
    await registry.putBlob("models/a", descriptor, streamOf(Buffer.from(text)));
    return descriptor;
  };

  runner.describe("image registry conformance", () => {
    withRegistry("gives back blobs by digest, put once or twice", async (registry) => {
      const descriptor = descriptorOf("layer");
      expect(await registry.hasBlob("models/a", descriptor.digest)).toBe(false);
      await putText(registry, "layer");
      await putText(registry, "layer");
      expect(await registry.hasBlob("models/a", descriptor.digest)).toBe(true);
      expect(await read(await registry.getBlob("models/a", descriptor.digest))).toBe("layer");
    });
    withRegistry("refuses a blob that is not what its digest says", async (registry) => {
      const descriptor = descriptorOf("right");
      const code = await codeOf(() => registry.putBlob("models/a", descriptor, streamOf(Buffer.from("wrong"))));
      expect(code).toBe("INVALID_INPUT");
      expect(await registry.hasBlob("models/a", descriptor.digest)).toBe(false);
    });
    withRegistry("gives back manifests by tag and by digest", async (registry) => {
      const manifest = manifestOf(await putText(registry, "layer"));
      const digest = await registry.putManifest("models/a", "1", manifest, manifestType);
      expect(digest).toBe(digestOfBytes(manifest));
      for (const reference of ["1", digest]) {
        const found = await registry.getManifest("models/a", reference);
        expect({ ...found, manifest: Buffer.from(found.manifest).toString() }).toEqual({
          digest,
          mediaType: manifestType,
          manifest: Buffer.from(manifest).toString(),
        });
      }
    });
    withRegistry("moves a tag and keeps the others", async (registry) => {
      const first = manifestOf(await putText(registry, "one"));
      const second = manifestOf(await putText(registry, "two"));
      await registry.putManifest("models/a", "1", first, manifestType);
      await registry.putManifest("models/a", "latest", first, manifestType);
      await registry.putManifest("models/a", "latest", second, manifestType);
      expect((await registry.getManifest("models/a", "latest")).digest).toBe(digestOfBytes(second));
      expect((await registry.getManifest("models/a", "1")).digest).toBe(digestOfBytes(first));
    });
    withRegistry("keeps repositories apart", async (registry) => {
      await registry.putManifest("models/a", "1", manifestOf(await putText(registry, "one")), manifestType);
      expect(await codeOf(() => registry.getManifest("models/b", "1"))).toBe("NOT_FOUND");
    });
    withRegistry("refuses a manifest whose blobs are missing", async (registry) => {
      const manifest = manifestOf(descriptorOf("never put"));
      expect(await codeOf(() => registry.putManifest("models/a", "1", manifest, manifestType))).toBe("NOT_FOUND");
      expect(await codeOf(() => registry.getManifest("models/a", "1"))).toBe("NOT_FOUND");
    });
    withRegistry("keeps a manifest without a tag under its own digest, and under no other", async (registry) => {
      const manifest = manifestOf(await putText(registry, "layer"));
      const digest = digestOfBytes(manifest);
      expect(await registry.putManifest("models/a", digest, manifest, manifestType)).toBe(digest);
      expect((await registry.getManifest("models/a", digest)).digest).toBe(digest);
      const other = digestOfBytes("other");
      expect(await codeOf(() => registry.putManifest("models/a", other, manifest, manifestType))).toBe("INVALID_INPUT");
    });
    withRegistry("finds what refers to a manifest, once each, and nothing else", async (registry) => {
      const image = manifestOf(await putText(registry, "layer"));
      const subject = await registry.putManifest("models/a", "1", image, manifestType);
      expect(await registry.referrers("models/a", subject)).toEqual([]);
      const content = await putText(registry, "about it");
      const referring = (artifactType: string): Uint8Array =>
        Buffer.from(
          JSON.stringify({
            schemaVersion: 2,
            mediaType: manifestType,
            artifactType,
            config: content,
            layers: [content],
            subject: { mediaType: manifestType, digest: subject, size: image.byteLength },
            annotations: { kind: artifactType },
          }),
        );
      const types = ["application/vnd.test.bill", "application/vnd.test.origin"];
      for (const type of [...types, ...types]) {
        const manifest = referring(type);
        await registry.putManifest("models/a", digestOfBytes(manifest), manifest, manifestType);
      }
      await registry.putManifest("models/a", "2", manifestOf(await putText(registry, "another")), manifestType);
      const found = await registry.referrers("models/a", subject);
      expect(found.map(({ artifactType, digest, annotations }) => ({ artifactType, digest, annotations }))).toEqual(
        expect.arrayContaining(
          types.map((artifactType) => ({
            artifactType,
            digest: digestOfBytes(referring(artifactType)),
            annotations: { kind: artifactType },
          })),
        ),
      );
      expect(found).toHaveLength(types.length);
    });
    withRegistry("takes a blob that another repository may have, whether it has it or not", async (registry) => {
      const descriptor = await putText(registry, "shared layer");
      const body = streamOf(Buffer.from("shared layer"));
      await registry.putBlob("models/b", descriptor, body, { mountFrom: "models/a" });
      expect(await read(await registry.getBlob("models/b", descriptor.digest))).toBe("shared layer");
      const other = descriptorOf("only here");
      await registry.putBlob("models/b", other, streamOf(Buffer.from("only here")), { mountFrom: "models/a" });
      expect(await read(await registry.getBlob("models/b", other.digest))).toBe("only here");
    });
    withRegistry("takes blobs larger than what is sent at once, and reads them back whole", async (registry) => {
      const piece = Buffer.alloc(7 * 1024 * 1024 + 13, "espalier ");
      const whole = Buffer.concat([piece, piece, piece, piece, piece]);
      const descriptor = { ...descriptorOf(""), digest: digestOfBytes(whole), size: whole.byteLength };
      const pieces = async function* (): ByteStream {
        for (let index = 0; index < 5; index += 1) yield piece;
      };
      await registry.putBlob("models/a", descriptor, pieces());
      let bytes = 0;
      for await (const chunk of await registry.getBlob("models/a", descriptor.digest)) bytes += chunk.byteLength;
      expect(bytes).toBe(whole.byteLength);
    });
    withRegistry("knows what is absent", async (registry) => {
      expect(await codeOf(() => registry.getBlob("models/a", digestOfBytes("none")))).toBe("NOT_FOUND");
      expect(await codeOf(() => registry.getManifest("models/a", "none"))).toBe("NOT_FOUND");
    });
    withRegistry("refuses names that lead elsewhere", async (registry) => {
      const layer = await putText(registry, "layer");
      for (const [repository, tag] of [
        ["../up", "1"],
        ["models/a", "../1"],
        ["A", "1"],
        ["models/a", ""],
      ] as const) {
        const code = await codeOf(() => registry.putManifest(repository, tag, manifestOf(layer), manifestType));
        expect([repository, tag, code]).toEqual([repository, tag, "INVALID_INPUT"]);
      }
    });
    finish();
  });
}
