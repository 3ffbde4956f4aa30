import { digestOfBytes } from "../canonical-json.ts";

/** Media types of the OCI image specification v1.1, and what Docker called the same. */
export const ociManifestType = "application/vnd.oci.image.manifest.v1+json";
export const ociIndexType = "application/vnd.oci.image.index.v1+json";
export const ociConfigType = "application/vnd.oci.image.config.v1+json";
export const ociLayerType = "application/vnd.oci.image.layer.v1.tar";
export const ociEmptyType = "application/vnd.oci.empty.v1+json";
export const dockerManifestType = "application/vnd.docker.distribution.manifest.v2+json";
export const dockerIndexType = "application/vnd.docker.distribution.manifest.list.v2+json";

/** The whole content of a descriptor of type `ociEmptyType`. */
export const ociEmptyContent = new Uint8Array(Buffer.from("{}"));

export const ociEmptyDescriptor = {
  mediaType: ociEmptyType,
  digest: digestOfBytes(ociEmptyContent),
  size: ociEmptyContent.byteLength,
} as const;

const layerTypes: Readonly<Record<string, string>> = {
  "application/vnd.docker.image.rootfs.diff.tar": ociLayerType,
  "application/vnd.docker.image.rootfs.diff.tar.gzip": `${ociLayerType}+gzip`,
  [ociLayerType]: ociLayerType,
  [`${ociLayerType}+gzip`]: `${ociLayerType}+gzip`,
  [`${ociLayerType}+zstd`]: `${ociLayerType}+zstd`,
};

/** OCI's name for a layer's type; undefined: none that may be copied (foreign layers, encrypted ones). */
export function layerTypeOf(mediaType: string): string | undefined {
  return layerTypes[mediaType];
}
