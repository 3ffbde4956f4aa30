import { z } from "zod";
import { collect } from "../artifacts/streams.ts";
import { type Digest, isDigest } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { ByteStream } from "../ports/artifact-store.ts";
import type { ImageRegistry, OciDescriptor } from "../ports/image-registry.ts";
import { type ImagePlatform, printPlatform } from "./image.ts";
import { type ImageLayer, requireDigest } from "./layer.ts";
import { dockerIndexType, layerTypeOf, ociIndexType } from "./media-types.ts";

/** An image to build upon. */
export interface BaseImage {
  /** How people know it, such as `registry.example.com/debian:12`. */
  name: string;
  /** Of its manifest for the platform. */
  digest: Digest;
  platform: ImagePlatform;
  config: ImageConfig;
  history: readonly object[];
  layers: readonly ImageLayer[];
}

const text = z.string();
const descriptorSchema = z.looseObject({ mediaType: text, digest: text.refine(isDigest), size: z.int().nonnegative() });
const manifestSchema = z.looseObject({ config: descriptorSchema, layers: z.array(descriptorSchema) });
const indexSchema = z.looseObject({
  manifests: z.array(descriptorSchema.extend({ platform: z.looseObject({ os: text, architecture: text }).optional() })),
});
/** Other keys of the configuration, such as `Volumes`, are handed on. Go writes null where it has nothing. */
const imageConfigSchema = z.looseObject({
  os: text,
  architecture: text,
  config: z
    .looseObject({
      Env: z.array(text).nullish(),
      Labels: z.record(text, text).nullish(),
      ExposedPorts: z.record(text, z.object({})).nullish(),
    })
    .nullish(),
  history: z.array(z.looseObject({})).nullish(),
  rootfs: z.looseObject({ diff_ids: z.array(text.refine(isDigest)) }),
});
export type ImageConfig = z.infer<typeof imageConfigSchema>;

/** Configurations are a few kilobytes; this keeps a wrong registry from filling the memory. */
const largestConfigBytes = 8 * 1024 * 1024;

/** Names a variable of an image's configuration. */
export function environmentOf(base: BaseImage | undefined, name: string): string | undefined {
  const line = base?.config.config?.Env?.find((one) => one.startsWith(`${name}=`));
  return line?.slice(name.length + 1);
}

/**
 * Reads what it takes to build upon an image: its manifest for the platform and its configuration; its layers only when they are sent.
 * Errors: those of the registry; UNSUPPORTED when it has no image for the platform, or layers that may not be copied.
 */
export async function openBaseImage(
  registry: ImageRegistry,
  place: { name: string; repository: string; reference: string },
  platform: ImagePlatform,
  mountFrom?: string,
): Promise<BaseImage> {
  const { name, repository } = place;
  let found = await registry.getManifest(repository, place.reference);
  if (found.mediaType === ociIndexType || found.mediaType === dockerIndexType) {
    const { manifests } = parse(indexSchema, found.manifest, name);
    const fitting = manifests.find(
      (one) => one.platform?.os === platform.os && one.platform.architecture === platform.architecture,
    );
    if (fitting === undefined) {
      const known = manifests.flatMap((one) => (one.platform === undefined ? [] : [printPlatform(one.platform)]));
      throw otherPlatform(name, platform, known.join(", "));
    }
    found = await registry.getManifest(repository, requireDigest(fitting.digest, name));
  }
  const manifest = parse(manifestSchema, found.manifest, name);
  const content = await collect(
    await registry.getBlob(repository, requireDigest(manifest.config.digest, name)),
    largestConfigBytes,
    `the configuration of ${name}`,
  );
  const config = parse(imageConfigSchema, content, name);
  if (config.os !== platform.os || config.architecture !== platform.architecture) {
    throw otherPlatform(name, platform, printPlatform(config));
  }
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    throw new EspalierError(
      "CORRUPTED",
      `The base image ${name} names ${manifest.layers.length} layers and another number of their digests`,
    );
  }
  const layers = manifest.layers.map((layer, index): ImageLayer => {
    const mediaType = layerTypeOf(layer.mediaType);
    if (mediaType === undefined) {
      throw new EspalierError(
        "UNSUPPORTED",
        `The base image ${name} has a layer of type ${layer.mediaType}, which can not be copied`,
        {
          hint: "Take another base.",
        },
      );
    }
    const digest = requireDigest(layer.digest, name);
    const descriptor: OciDescriptor = { mediaType, digest, size: layer.size };
    return {
      descriptor,
      diffId: requireDigest(config.rootfs.diff_ids[index] ?? "", name),
      what: `base ${name}`,
      open: () => opened(() => registry.getBlob(repository, digest)),
      ...(mountFrom === undefined ? {} : { mountFrom }),
    };
  });
  return { name, digest: found.digest, platform, config, history: config.history ?? [], layers };
}

/** Asks for the bytes when the first is wanted: a blob that need not be sent is not fetched. */
async function* opened(open: () => Promise<ByteStream>): AsyncGenerator<Uint8Array> {
  yield* await open();
}

function parse<Schema extends z.ZodType>(schema: Schema, bytes: Uint8Array, name: string): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (cause) {
    throw new EspalierError("UNSUPPORTED", `${name} is not a container image`, {
      cause,
      hint: "Give an image as the base: a model or a chart in a registry is none.",
    });
  }
}

function otherPlatform(name: string, platform: ImagePlatform, known: string): EspalierError {
  return new EspalierError(
    "UNSUPPORTED",
    `The base image ${name} is not for ${printPlatform(platform)}, but for ${known || "no platform"}`,
    {
      hint: "Choose a base for the platform, or the platform with `--platform`.",
    },
  );
}
