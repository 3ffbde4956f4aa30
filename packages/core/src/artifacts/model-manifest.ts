import type { ArtifactRef } from "../artifact.ts";
import { canonicalJson, type Digest, digestOfBytes } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import { ociEmptyContent, ociEmptyDescriptor, ociManifestType } from "../oci/media-types.ts";
import { putContent } from "../oci/push-image.ts";
import type { ImageRegistry, OciDescriptor } from "../ports/image-registry.ts";
import type { Artifacts } from "./artifacts.ts";
import { entryDigest, type TreeEntry } from "./tree.ts";

export const modelArtifactType = "application/vnd.espalier.model.v1+json";
const modelFileType = "application/vnd.espalier.model.file.v1";

export interface ModelPackage {
  /** Name and version of the model, as registered. */
  name: string;
  version: string;
  /** The model folder. */
  model: ArtifactRef;
  /** Its files, see `Artifacts.entries`. */
  files: readonly TreeEntry[];
  /** Digest of the gate's verdict; left out for a version that was registered with `gate: none`. */
  verdict?: Digest;
  /** Further annotations; keys of ours and of OCI can not be replaced. */
  annotations?: Readonly<Record<string, string>>;
}

export interface ModelManifest {
  manifest: Uint8Array;
  digest: Digest;
  mediaType: string;
  /** OCI's empty configuration, whose blob `{}` has to be there like any other. */
  config: OciDescriptor;
  /** One a file, in order of path. */
  layers: OciDescriptor[];
}

/**
 * A model folder as an OCI artifact (image-spec v1.1). Without times or hosts: equal inputs give equal bytes, so that packaging
 * twice is found to be the same.
 */
export function modelManifest(input: ModelPackage): ModelManifest {
  if (input.files.length === 0) {
    throw new EspalierError("INVALID_INPUT", `The model ${input.name} has no files to package`);
  }
  const files = [...input.files].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  const layers = files.map((file) => ({
    mediaType: modelFileType,
    digest: entryDigest(file),
    size: file.size,
    annotations: {
      "org.opencontainers.image.title": file.path,
      ...(file.executable ? { "espalier.file.executable": "true" } : {}),
    },
  }));
  const config: OciDescriptor = ociEmptyDescriptor;
  const manifest = Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: ociManifestType,
      artifactType: modelArtifactType,
      config,
      layers,
      annotations: {
        ...input.annotations,
        "org.opencontainers.image.title": input.name,
        "org.opencontainers.image.version": input.version,
        "espalier.model.digest": input.model.digest,
        ...(input.verdict === undefined ? {} : { "espalier.verdict.digest": input.verdict }),
      },
    }),
  );
  return { manifest, digest: digestOfBytes(manifest), mediaType: ociManifestType, config, layers };
}

/** Pushes a model's files and manifest; blobs that the registry has are not sent again. Idempotent. */
export async function packageModel(
  registry: ImageRegistry,
  artifacts: Artifacts,
  target: { repository: string; tag: string },
  input: Omit<ModelPackage, "files">,
): Promise<ModelManifest> {
  const files = await artifacts.entries(input.model);
  const built = modelManifest({ ...input, files });
  await putContent(registry, target.repository, built.config, ociEmptyContent);
  for (const layer of built.layers) {
    const path = layer.annotations?.["org.opencontainers.image.title"] ?? "";
    if (await registry.hasBlob(target.repository, layer.digest)) continue;
    await registry.putBlob(target.repository, layer, (await artifacts.open(input.model, path)).body);
  }
  const digest = await registry.putManifest(target.repository, target.tag, built.manifest, built.mediaType);
  if (digest !== built.digest) {
    throw new EspalierError("CORRUPTED", `The registry stored ${digest} for the manifest ${built.digest}`);
  }
  return built;
}
