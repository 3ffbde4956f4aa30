import { canonicalJson, digestOfBytes } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { OciDescriptor } from "../ports/image-registry.ts";
import type { BaseImage } from "./base-image.ts";
import type { ImageLayer } from "./layer.ts";
import { ociConfigType, ociIndexType, ociManifestType } from "./media-types.ts";

/** As OCI names them: `linux` and `amd64` or `arm64`. */
export interface ImagePlatform {
  os: string;
  architecture: string;
}

export interface ImageSettings {
  platform: ImagePlatform;
  base?: BaseImage;
  /** Upon the base, from the one that changes least to the one that changes most. */
  layers: readonly ImageLayer[];
  entrypoint: readonly string[];
  command: readonly string[];
  environment: Readonly<Record<string, string>>;
  labels: Readonly<Record<string, string>>;
  user: string;
  workingDirectory: string;
  /** TCP. */
  port: number;
  /** Annotations of the manifest. */
  annotations: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch, of what the image holds and never of its build; left out: the image says no time. */
  createdAt?: number;
}

/** An image ready to be pushed. */
export interface Image {
  platform: ImagePlatform;
  manifest: Uint8Array;
  /** Of the manifest, which is the image's identity. */
  descriptor: OciDescriptor;
  config: { descriptor: OciDescriptor; content: Uint8Array };
  /** The base's too. */
  layers: readonly ImageLayer[];
}

/** Configuration and manifest of an image. Equal inputs give equal bytes: no host, no time of its own, keys in canonical order. */
export function buildImage(settings: ImageSettings): Image {
  const { platform, base } = settings;
  const inherited = base?.config.config ?? {};
  const layers = [...(base?.layers ?? []), ...settings.layers];
  const created = settings.createdAt === undefined ? undefined : new Date(settings.createdAt).toISOString();
  const content = Buffer.from(
    canonicalJson({
      created,
      ...platform,
      config: {
        ...inherited,
        User: settings.user,
        WorkingDir: settings.workingDirectory,
        Entrypoint: settings.entrypoint,
        Cmd: settings.command,
        Env: mergedEnvironment(inherited.Env ?? [], settings.environment),
        Labels: { ...inherited.Labels, ...settings.labels },
        ExposedPorts: { ...inherited.ExposedPorts, [`${settings.port}/tcp`]: {} },
      },
      rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
      history: [
        ...(base?.history ?? []),
        ...settings.layers.map((layer) => ({ created, created_by: "espalier package", comment: layer.what })),
      ],
    }),
  );
  const config: OciDescriptor = { mediaType: ociConfigType, digest: digestOfBytes(content), size: content.byteLength };
  const manifest = Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: ociManifestType,
      config,
      layers: layers.map(({ descriptor: { mediaType, digest, size } }) => ({ mediaType, digest, size })),
      annotations: settings.annotations,
    }),
  );
  return {
    platform,
    manifest,
    descriptor: { mediaType: ociManifestType, digest: digestOfBytes(manifest), size: manifest.byteLength, platform },
    config: { descriptor: config, content },
    layers,
  };
}

/** One name for images of several platforms. */
export function buildIndex(
  images: readonly Image[],
  annotations: Readonly<Record<string, string>>,
): { manifest: Uint8Array; descriptor: OciDescriptor } {
  const manifest = Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: ociIndexType,
      manifests: images.map((image) => image.descriptor),
      annotations,
    }),
  );
  return {
    manifest,
    descriptor: { mediaType: ociIndexType, digest: digestOfBytes(manifest), size: manifest.byteLength },
  };
}

/** `linux/amd64`. INVALID_INPUT; UNSUPPORTED for what no model server runs on. */
export function parsePlatform(text: string): ImagePlatform {
  const [os = "", architecture = "", ...more] = text.split("/");
  if (os === "linux" && (architecture === "amd64" || architecture === "arm64") && more.length === 0) {
    return { os, architecture };
  }
  throw new EspalierError("UNSUPPORTED", `There are no images for the platform "${text}"`, {
    hint: "linux/amd64 and linux/arm64 are known.",
  });
}

export function printPlatform({ os, architecture }: ImagePlatform): string {
  return `${os}/${architecture}`;
}

function mergedEnvironment(inherited: readonly string[], own: Readonly<Record<string, string>>): string[] {
  const kept = inherited.filter((line) => !Object.hasOwn(own, line.split("=", 1)[0] ?? ""));
  return [...kept, ...Object.entries(own).map(([name, value]) => `${name}=${value}`)];
}
