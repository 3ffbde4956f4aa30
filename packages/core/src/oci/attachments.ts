import { z } from "zod";
import { canonicalJson, type Digest, digestOfBytes } from "../canonical-json.ts";
import type { ImageRegistry, OciDescriptor } from "../ports/image-registry.ts";
import { ociEmptyContent, ociEmptyType, ociIndexType, ociManifestType } from "./media-types.ts";
import { putChecked, putContent } from "./push-image.ts";

/** A document about an image, stored beside it. */
export interface Attachment {
  /** Of the manifest that refers to the image. */
  artifactType: string;
  layers: readonly { mediaType: string; content: Uint8Array; annotations?: Readonly<Record<string, string>> }[];
  annotations?: Readonly<Record<string, string>>;
  /** Instead of OCI's empty one. */
  config?: { mediaType: string; content: Uint8Array };
  /** Besides the link to its subject, for programs that know names only. */
  tag?: string;
}

/**
 * Stores a document that refers to an image (`subject`, image-spec v1.1): whoever has the image's digest finds it. Idempotent: equal
 * documents are one manifest.
 */
export async function attach(
  registry: ImageRegistry,
  repository: string,
  subject: OciDescriptor,
  attachment: Attachment,
): Promise<OciDescriptor> {
  const config = attachment.config ?? { mediaType: ociEmptyType, content: ociEmptyContent };
  const configDescriptor = descriptorOf(config.mediaType, config.content);
  await putContent(registry, repository, configDescriptor, config.content);
  const layers: OciDescriptor[] = [];
  for (const { mediaType, content, annotations } of attachment.layers) {
    const descriptor = descriptorOf(mediaType, content);
    await putContent(registry, repository, descriptor, content);
    layers.push({ ...descriptor, ...(annotations === undefined ? {} : { annotations: { ...annotations } }) });
  }
  const manifest = Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: ociManifestType,
      artifactType: attachment.artifactType,
      config: configDescriptor,
      layers,
      subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
      annotations: attachment.annotations,
    }),
  );
  const descriptor = { ...descriptorOf(ociManifestType, manifest), artifactType: attachment.artifactType };
  const reference = attachment.tag ?? descriptor.digest;
  await putChecked(registry, repository, reference, { manifest, descriptor });
  return descriptor;
}

/** The tag under which programs without the referrers API look for what refers to a digest (distribution-spec v1.1). */
export function referrersTag(digest: Digest): string {
  return digest.replace(":", "-");
}

const referrersSchema = z.looseObject({
  manifests: z.array(
    z.looseObject({
      mediaType: z.string(),
      digest: z.templateLiteral(["sha256:", z.string()]),
      size: z.int().nonnegative(),
      artifactType: z.string().optional(),
      annotations: z.record(z.string(), z.string()).optional(),
    }),
  ),
});

/** The descriptors in an index of referrers, as the API and the tag give it. */
export function readReferrers(index: Uint8Array): OciDescriptor[] {
  const { manifests } = referrersSchema.parse(JSON.parse(Buffer.from(index).toString("utf8")));
  return manifests.map(({ mediaType, digest, size, artifactType, annotations }) => ({
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  }));
}

/** The index for the referrers' tag, with one more; undefined when it is there already. */
export function addReferrer(known: readonly OciDescriptor[], added: OciDescriptor): Uint8Array | undefined {
  if (known.some((one) => one.digest === added.digest)) return undefined;
  return Buffer.from(canonicalJson({ schemaVersion: 2, mediaType: ociIndexType, manifests: [...known, added] }));
}

const subjectSchema = z.looseObject({
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  config: z.looseObject({ mediaType: z.string() }).optional(),
  subject: z.looseObject({ digest: z.templateLiteral(["sha256:", z.string()]) }).optional(),
});

/** What a manifest refers to, and how a list of referrers describes it; undefined: to nothing. */
export function subjectOf(
  manifest: Uint8Array,
  mediaType: string,
): { subject: Digest; descriptor: OciDescriptor } | undefined {
  const parsed = subjectSchema.safeParse(JSON.parse(Buffer.from(manifest).toString("utf8")));
  const subject = parsed.data?.subject;
  if (parsed.data === undefined || subject === undefined) return undefined;
  const artifactType = parsed.data.artifactType ?? parsed.data.config?.mediaType;
  const { annotations } = parsed.data;
  return {
    subject: subject.digest,
    descriptor: {
      ...descriptorOf(mediaType, manifest),
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
    },
  };
}

function descriptorOf(mediaType: string, content: Uint8Array): OciDescriptor {
  return { mediaType, digest: digestOfBytes(content), size: content.byteLength };
}
