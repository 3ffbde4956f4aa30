import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageRegistryConformance } from "@espalier/conformance";
import { createArtifacts, digestOfBytes, modelArtifactType, packageModel } from "@espalier/core";
import { describe, expect, it } from "vitest";
import { createFilesystemArtifactStore } from "./filesystem-artifact-store.ts";
import { createLocalFiles } from "./local-files.ts";
import { createOciLayoutImageRegistry } from "./oci-layout-image-registry.ts";

imageRegistryConformance(
  { describe, it, expect },
  {
    async open() {
      const folder = await mkdtemp(join(tmpdir(), "espalier-packages-"));
      return { registry: createOciLayoutImageRegistry({ path: folder }), close: () => rm(folder, { recursive: true }) };
    },
  },
);

describe("a packaged model", () => {
  it("is one layer a file, in a layout by the book, with the same digest every time", async () => {
    const folder = await mkdtemp(join(tmpdir(), "espalier-packages-"));
    await mkdir(join(folder, "model", "payload"), { recursive: true });
    await writeFile(join(folder, "model", "signature.json"), "{}");
    await writeFile(join(folder, "model", "payload", "model.onnx"), "graph");
    const artifacts = createArtifacts(
      createFilesystemArtifactStore({ path: join(folder, "store") }),
      createLocalFiles(),
    );
    const model = await artifacts.putTree(join(folder, "model"), "model");
    const registry = createOciLayoutImageRegistry({ path: join(folder, "packages") });
    const input = { name: "flights-delay", version: "3", model, verdict: digestOfBytes("verdict") };
    const target = { repository: "models/flights-delay", tag: "3" };
    const first = await packageModel(registry, artifacts, target, input);
    expect((await packageModel(registry, artifacts, target, input)).digest).toBe(first.digest);
    const elsewhere = createOciLayoutImageRegistry({ path: join(folder, "elsewhere") });
    expect((await packageModel(elsewhere, artifacts, target, input)).digest).toBe(first.digest);

    const layout = join(folder, "packages", "models", "flights-delay");
    const json = async (...path: string[]): Promise<unknown> =>
      JSON.parse(await readFile(join(layout, ...path), "utf8"));
    expect(await json("oci-layout")).toEqual({ imageLayoutVersion: "1.0.0" });
    expect(await json("index.json")).toMatchObject({
      schemaVersion: 2,
      manifests: [
        {
          digest: first.digest,
          artifactType: modelArtifactType,
          annotations: { "org.opencontainers.image.ref.name": "3" },
        },
      ],
    });
    expect(await json("blobs", "sha256", first.digest.slice(7))).toMatchObject({
      artifactType: modelArtifactType,
      config: { mediaType: "application/vnd.oci.empty.v1+json", size: 2 },
      layers: [
        { digest: digestOfBytes("graph"), annotations: { "org.opencontainers.image.title": "payload/model.onnx" } },
        { digest: digestOfBytes("{}"), annotations: { "org.opencontainers.image.title": "signature.json" } },
      ],
      annotations: {
        "org.opencontainers.image.title": "flights-delay",
        "org.opencontainers.image.version": "3",
        "espalier.model.digest": model.digest,
        "espalier.verdict.digest": input.verdict,
      },
    });
    await rm(folder, { recursive: true });
  });
});
