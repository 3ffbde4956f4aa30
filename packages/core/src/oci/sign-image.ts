import { z } from "zod";
import { collect } from "../artifacts/streams.ts";
import type { Digest } from "../canonical-json.ts";
import { isEspalierError } from "../errors.ts";
import type { ImageRegistry, OciDescriptor } from "../ports/image-registry.ts";
import { type Attachment, attach } from "./attachments.ts";
import { requireDigest } from "./layer.ts";
import {
  attestationAttachment,
  attestationLayer,
  cosignTag,
  hasAttestation,
  hasSignature,
  type SigningKey,
  signatureAttachment,
  signatureLayer,
  signaturePayload,
} from "./signature.ts";

export interface SignedStatement {
  statement: Uint8Array;
  predicateType: string;
}

/**
 * Signs an image, and statements about it, where and as cosign looks for signatures. Signatures of others stay; what this key has signed
 * already is not signed again, so that it may be repeated.
 */
export async function signImage(
  registry: ImageRegistry,
  place: { name: string; repository: string },
  image: OciDescriptor,
  key: SigningKey,
  statements: readonly SignedStatement[],
): Promise<void> {
  const { repository } = place;
  const payload = signaturePayload(place.name, image.digest);
  const signatures = await layersUnder(registry, repository, cosignTag(image.digest, "sig"));
  if (!hasSignature(key, signatures, payload)) {
    const layers = [...signatures, signatureLayer(key, payload)];
    await attach(registry, repository, image, signatureAttachment(image.digest, layers));
  }
  const attestations = await layersUnder(registry, repository, cosignTag(image.digest, "att"));
  const missing = statements.filter(({ statement }) => !hasAttestation(key, attestations, statement));
  if (missing.length === 0) return;
  const added = missing.map(({ statement, predicateType }) => attestationLayer(key, statement, predicateType));
  await attach(registry, repository, image, attestationAttachment(image.digest, [...attestations, ...added]));
}

const manifestSchema = z.looseObject({
  layers: z.array(
    z.looseObject({
      mediaType: z.string(),
      digest: z.string(),
      annotations: z.record(z.string(), z.string()).optional(),
    }),
  ),
});

/** A signature or a statement is small; this bounds what a registry can make us hold. */
const largestLayerBytes = 64 * 1024 * 1024;

async function layersUnder(registry: ImageRegistry, repository: string, tag: string): Promise<Attachment["layers"]> {
  let manifest: Uint8Array;
  try {
    manifest = (await registry.getManifest(repository, tag)).manifest;
  } catch (error) {
    if (isEspalierError(error) && error.code === "NOT_FOUND") return [];
    throw error;
  }
  const { layers } = manifestSchema.parse(JSON.parse(Buffer.from(manifest).toString("utf8")));
  const read = async (digest: Digest): Promise<Uint8Array> =>
    collect(await registry.getBlob(repository, digest), largestLayerBytes, digest);
  return Promise.all(
    layers.map(async ({ mediaType, digest, annotations }) => ({
      mediaType,
      content: await read(requireDigest(digest, tag)),
      ...(annotations === undefined ? {} : { annotations }),
    })),
  );
}
