import { eachConcurrently, streamOf } from "../artifacts/streams.ts";
import type { Digest } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { ByteStream } from "../ports/artifact-store.ts";
import type { ImageRegistry, OciDescriptor } from "../ports/image-registry.ts";
import type { Image } from "./image.ts";

/** How far a push is. Bytes. */
export interface PushProgress {
  /** What is being sent. */
  what: string;
  sentBytes: number;
  /** Of everything that the image holds. */
  totalBytes: number;
  /** Were there already. */
  heldBytes: number;
}

const concurrentLayers = 3;

/**
 * Sends what the registry has not, then the manifest, so that a name never leads to half an image. Idempotent: an interrupted push is
 * repeated, and goes on where it stopped by layers. `reference`: a tag; without one it stands under its digest.
 */
export async function pushImage(
  registry: ImageRegistry,
  repository: string,
  image: Image,
  options: { tag?: string; onProgress?: (progress: PushProgress) => void } = {},
): Promise<void> {
  const blobs = new Map(image.layers.map((layer) => [layer.descriptor.digest, layer]));
  const totalBytes = [...blobs.values()].reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  let sentBytes = 0;
  let heldBytes = 0;
  const tell = (what: string): void => options.onProgress?.({ what, sentBytes, totalBytes, heldBytes });
  await eachConcurrently(blobs.values(), concurrentLayers, async (layer) => {
    const { descriptor, what, mountFrom } = layer;
    if (await registry.hasBlob(repository, descriptor.digest)) {
      heldBytes += descriptor.size;
      return tell(what);
    }
    let sent = 0;
    // Read anew when an upload has to begin anew.
    const body: ByteStream = {
      async *[Symbol.asyncIterator]() {
        sentBytes -= sent;
        sent = 0;
        for await (const chunk of layer.open()) {
          sent += chunk.byteLength;
          sentBytes += chunk.byteLength;
          tell(what);
          yield chunk;
        }
      },
    };
    await registry.putBlob(repository, descriptor, body, mountFrom === undefined ? {} : { mountFrom });
    if (sent === 0) heldBytes += descriptor.size;
    tell(what);
  });
  await putContent(registry, repository, image.config.descriptor, image.config.content);
  await putChecked(registry, repository, options.tag ?? image.descriptor.digest, image);
}

/** Sends a small blob unless it is there. */
export async function putContent(
  registry: ImageRegistry,
  repository: string,
  descriptor: OciDescriptor,
  content: Uint8Array,
): Promise<void> {
  if (await registry.hasBlob(repository, descriptor.digest)) return;
  await registry.putBlob(repository, descriptor, streamOf(content));
}

/** CORRUPTED when the registry made another manifest of it. */
export async function putChecked(
  registry: ImageRegistry,
  repository: string,
  reference: string,
  { manifest, descriptor }: { manifest: Uint8Array; descriptor: OciDescriptor },
): Promise<Digest> {
  const digest = await registry.putManifest(repository, reference, manifest, descriptor.mediaType);
  if (digest === descriptor.digest) return digest;
  throw new EspalierError("CORRUPTED", `The registry stored ${digest} for the manifest ${descriptor.digest}`);
}
