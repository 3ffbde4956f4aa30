import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type ArtifactRef, type ByteStream, EspalierError, ulid } from "@espalier/core";
import type { ControlPlane } from "../../control-plane.ts";
import { unknownUpload } from "../../db/queries/file-uploads.ts";
import { mlflowError } from "../mlflow-error.ts";

export interface Body {
  stream: ByteStream;
  /** Bytes, where the client said so. */
  size: number | undefined;
}

/** Takes in bytes from clients: streamed, stored once, on record only when they are whole. */
export interface FileReceiver {
  /** Errors of `FileQueries.put`; TOO_LARGE, DISK_FULL. */
  put(path: string, body: Body, createdBy: string): Promise<void>;
  /** Idempotent. The part's digest. */
  putPart(uploadId: string, number: number, body: Body): Promise<string>;
  /** Idempotent: one that is complete is left alone. `etags` by number of the part; INVALID_INPUT when parts are missing or others came. */
  complete(uploadId: string, path: string, etags: ReadonlyMap<number, string>, createdBy: string): Promise<void>;
}

export function createFileReceiver(plane: ControlPlane): FileReceiver {
  const { record, artifacts, project } = plane;
  const spoolFolder = join(project.stateDirectory, "uploads");
  const maxBytes = project.config.control_plane?.largest_upload_bytes;
  let emptied: Promise<void> | undefined;
  const completing = new Map<string, Promise<void>>();

  async function take({ stream, size }: Body): Promise<ArtifactRef> {
    if (size !== undefined && maxBytes !== undefined && size > maxBytes) {
      throw new EspalierError("TOO_LARGE", `A file has at most ${maxBytes} bytes here, and this one has ${size}`, {
        hint: "`control_plane.largest_upload_bytes` in espalier.yaml says how much.",
      });
    }
    // This process owns the folder: what lies there was left by one that was killed.
    emptied ??= rm(spoolFolder, { recursive: true, force: true });
    await emptied;
    return artifacts.putStream(stream, {
      spoolPath: join(spoolFolder, ulid()),
      ...(size === undefined ? {} : { size }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
  }

  async function assemble(
    uploadId: string,
    path: string,
    etags: ReadonlyMap<number, string>,
    createdBy: string,
  ): Promise<void> {
    const upload = await record.fileUploads.get(uploadId);
    if (upload === undefined || upload.path !== path) throw unknownUpload(uploadId);
    if (upload.completed) return;
    const parts = await record.fileUploads.parts(uploadId);
    for (let number = 1; number <= upload.parts; number += 1) {
      const part = parts[number - 1];
      if (part?.number !== number || !etags.has(number)) {
        throw mlflowError("INVALID_PARAMETER_VALUE", `Part ${number} of ${upload.parts} has not been uploaded`);
      }
      const etag = etags.get(number)?.replaceAll('"', "") ?? "";
      if (etag !== "" && etag !== part.digest) {
        throw mlflowError("INVALID_PARAMETER_VALUE", `Part ${number} is not the one that was uploaded last`);
      }
    }
    async function* joined(): ByteStream {
      for (const { digest, size } of parts) yield* (await artifacts.open({ type: "file", digest, size })).body;
    }
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const [only] = parts;
    const whole = parts.length === 1 && only !== undefined ? only : await take({ stream: joined(), size });
    await record.fileUploads.complete(uploadId, { path, digest: whole.digest, size, createdBy });
  }

  return {
    async put(path, body, createdBy) {
      const { digest, size } = await take(body);
      await record.files.put({ path, digest, size, createdBy });
    },
    async putPart(uploadId, number, body) {
      const upload = await record.fileUploads.get(uploadId);
      if (upload === undefined || number > upload.parts) throw unknownUpload(uploadId);
      const { digest, size } = await take(body);
      await record.fileUploads.putPart(uploadId, { number, digest, size });
      return digest;
    },
    complete(uploadId, path, etags, createdBy) {
      // A client that got no answer in time asks again, while the first is still at it.
      const running = completing.get(uploadId);
      if (running !== undefined) return running;
      const done = assemble(uploadId, path, etags, createdBy).finally(() => completing.delete(uploadId));
      completing.set(uploadId, done);
      return done;
    },
  };
}
