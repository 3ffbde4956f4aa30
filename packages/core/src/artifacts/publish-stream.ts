import { createHash } from "node:crypto";
import type { ArtifactRef } from "../artifact.ts";
import type { Digest } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { ByteStream } from "../ports/artifact-store.ts";
import type { LocalFiles } from "../ports/local-files.ts";
import { blobKey } from "./keys.ts";
import type { Objects } from "./objects.ts";

export interface PutStreamOptions {
  /** Absolute path of a file that is not there yet, best on the store's own disk. */
  spoolPath: string;
  /** Bytes that the sender promised. */
  size?: number;
  maxBytes?: number;
}

export async function publishStream(
  objects: Objects,
  files: LocalFiles,
  body: ByteStream,
  { spoolPath, size: promised, maxBytes }: PutStreamOptions,
): Promise<ArtifactRef> {
  const hash = createHash("sha256");
  let size = 0;
  async function* counted(): ByteStream {
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (maxBytes !== undefined && size > maxBytes) {
        throw new EspalierError("TOO_LARGE", `A file has at most ${maxBytes} bytes here`, { details: { maxBytes } });
      }
      hash.update(chunk);
      yield chunk;
    }
    // Before the end of the stream, so that no file of a wrong length ever gets its name.
    if (promised !== undefined && size !== promised) {
      throw new EspalierError("INVALID_INPUT", `${promised} bytes were announced, and ${size} came`, {
        hint: "Send the file again.",
      });
    }
  }
  try {
    await files.writeFile(spoolPath, counted());
    const digest: Digest = `sha256:${hash.digest("hex")}`;
    await objects.put(blobKey(digest), size, () => files.read(spoolPath), spoolPath);
    return { type: "file", digest, size };
  } finally {
    await files.removeFile(spoolPath);
  }
}
