import { digestOfStream } from "../artifacts/streams.ts";
import { type Digest, isDigest } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { ByteStream } from "../ports/artifact-store.ts";
import type { OciDescriptor } from "../ports/image-registry.ts";
import { ociLayerType } from "./media-types.ts";
import { type LayerEntry, tarArchive } from "./tar.ts";

/** A layer of an image, whose bytes are made or fetched when it has to be sent. */
export interface ImageLayer {
  descriptor: OciDescriptor;
  /** Digest of the layer without compression. */
  diffId: Digest;
  /** What it holds, for people and for the image's history. */
  what: string;
  open(): ByteStream;
  /** A repository of the target registry that has it. */
  mountFrom?: string;
}

/**
 * A layer of files. It is not compressed: then its digest depends on its content alone and not on the version of a compressor, so that equal
 * inputs give equal images on any machine, and neither building nor starting an image costs the compression of its model.
 */
export async function fileLayer(what: string, entries: readonly LayerEntry[]): Promise<ImageLayer> {
  const { digest, size } = await digestOfStream(tarArchive(entries));
  return {
    descriptor: { mediaType: ociLayerType, digest, size },
    diffId: digest,
    what,
    open: () => tarArchive(entries),
  };
}

export function requireDigest(text: string, what: string): Digest {
  if (isDigest(text)) return text;
  throw new EspalierError("CORRUPTED", `${what} names ${JSON.stringify(text)}, which is no sha256 digest`);
}
