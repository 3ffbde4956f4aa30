import { createHash } from "node:crypto";
import { type ByteStream, EspalierError, isEspalierError, type OciDescriptor } from "@espalier/core";
import { discard, type RegistryClient } from "./oci-registry-client.ts";

/** Held in memory, so that a piece that was lost on its way can be sent again. Registries refuse pieces below 5 MiB, but for the last. */
const pieceBytes = 8 * 1024 * 1024;
/** How often a blob is begun anew when the registry has forgotten what it had of it. */
const beginnings = 3;

export interface BlobUpload {
  repository: string;
  descriptor: OciDescriptor;
  body: ByteStream;
  mountFrom: string | undefined;
}

/**
 * Sends a blob: whole when it is small, else in pieces. After a broken connection it goes on with what the registry has; when the registry
 * does not know any more, it begins anew if the body can be read again. INVALID_INPUT: the bytes are not what the descriptor says; nothing is
 * left behind then.
 */
export async function uploadBlob(client: RegistryClient, upload: BlobUpload): Promise<void> {
  const readsOnce = upload.body[Symbol.asyncIterator]() === (upload.body as unknown);
  for (let beginning = 1; ; beginning += 1) {
    const begun = await begin(client, upload, beginning === 1 ? upload.mountFrom : undefined);
    if (begun === undefined) return;
    try {
      return await sendPieces(client, upload, begun);
    } catch (error) {
      if (!isForgotten(error) || readsOnce || beginning >= beginnings) throw error;
    }
  }
}

/** The place to send to; undefined: it was mounted, and nothing is to be sent. */
async function begin(
  client: RegistryClient,
  { repository, descriptor }: BlobUpload,
  mountFrom: string | undefined,
): Promise<string | undefined> {
  const query =
    mountFrom === undefined ? "" : `?${new URLSearchParams({ mount: descriptor.digest, from: mountFrom }).toString()}`;
  const what = "beginning an upload";
  const response = await client.send({
    method: "POST",
    target: `${repository}/blobs/uploads/${query}`,
    repository,
    what,
    body: new Uint8Array(),
    ...(mountFrom === undefined ? {} : { alsoPull: mountFrom }),
  });
  await discard(response);
  return response.status === 201 ? undefined : locationOf(client, response, what);
}

async function sendPieces(client: RegistryClient, upload: BlobUpload, begun: string): Promise<void> {
  const { repository, descriptor } = upload;
  const hash = createHash("sha256");
  let location = begun;
  let sent = 0;
  let piece: Uint8Array = new Uint8Array();
  try {
    for await (const next of pieces(upload.body)) {
      if (piece.byteLength > 0) {
        location = await sendPiece(client, repository, location, piece, sent);
        sent += piece.byteLength;
      }
      hash.update(next);
      piece = next;
      if (sent + piece.byteLength > descriptor.size) break;
    }
    const size = sent + piece.byteLength;
    if (size !== descriptor.size || `sha256:${hash.digest("hex")}` !== descriptor.digest) {
      throw new EspalierError("INVALID_INPUT", `The blob is not what its descriptor says: ${descriptor.digest}`);
    }
    if (sent > 0) {
      location = await sendPiece(client, repository, location, piece, sent);
      piece = new Uint8Array();
    }
  } catch (error) {
    // The registry drops what it has by itself some day; this only spares its disk.
    await client
      .send({ method: "DELETE", target: location, repository, what: "giving up an upload", tries: 1 })
      .then(discard)
      .catch(() => undefined);
    throw error;
  }
  const target = new URL(location);
  target.searchParams.set("digest", descriptor.digest);
  const response = await client.send({
    method: "PUT",
    target: target.href,
    repository,
    what: "ending an upload",
    body: piece,
    headers: { "content-type": "application/octet-stream" },
  });
  await discard(response);
}

/** The last piece comes whole as well: the digest is checked before it is sent. */
async function* pieces(body: ByteStream): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    for (let start = 0; start < chunk.byteLength; ) {
      const part = chunk.subarray(start, start + pieceBytes - bytes);
      held.push(part);
      bytes += part.byteLength;
      start += part.byteLength;
      if (bytes < pieceBytes) continue;
      yield held.length === 1 ? part : Buffer.concat(held);
      held = [];
      bytes = 0;
    }
  }
  yield Buffer.concat(held);
}

const pieceTries = 5;

/** Sends one piece, whatever part of it the registry has already. Gives the place for the next. */
async function sendPiece(
  client: RegistryClient,
  repository: string,
  begun: string,
  piece: Uint8Array,
  start: number,
): Promise<string> {
  let location = begun;
  let from = 0;
  for (let attempt = 1; from < piece.byteLength; attempt += 1) {
    const body = piece.subarray(from);
    const what = "uploading";
    try {
      const response = await client.send({
        method: "PATCH",
        target: location,
        repository,
        what,
        body,
        headers: {
          "content-type": "application/octet-stream",
          "content-range": `${start + from}-${start + from + body.byteLength - 1}`,
        },
        // A second time it may be another part of the piece that is missing.
        tries: 1,
      });
      await discard(response);
      return locationOf(client, response, what);
    } catch (error) {
      const isRangeRefused = isEspalierError(error) && error.details["status"] === 416;
      if (!isEspalierError(error) || !(error.retryable || isRangeRefused) || error.code === "DISK_FULL") throw error;
      if (attempt >= pieceTries) throw error;
      const status = await statusOf(client, repository, location);
      location = status.location;
      from = status.bytes - start;
      if (from < 0 || from > piece.byteLength) throw forgotten(client);
    }
  }
  return location;
}

async function statusOf(
  client: RegistryClient,
  repository: string,
  location: string,
): Promise<{ location: string; bytes: number }> {
  const what = "asking how much has arrived";
  const response = await client.send({ method: "GET", target: location, repository, what, allowed: [404, 416] });
  await discard(response);
  const end = /(\d+)-(\d+)/.exec(response.headers.get("range") ?? "")?.[2];
  if (response.status === 404 || response.status === 416 || end === undefined) throw forgotten(client);
  // `0-0` stands for nothing as well as for one byte, and pieces are larger than that.
  return { location: locationOf(client, response, what), bytes: end === "0" ? 0 : Number(end) + 1 };
}

function locationOf(client: RegistryClient, response: Response, what: string): string {
  const location = response.headers.get("location");
  if (location !== null && URL.canParse(location, response.url)) return new URL(location, response.url).href;
  throw new EspalierError("UNSUPPORTED", `What answers at ${client.registry} is no registry (${what}: no Location)`);
}

const forgottenMark = "upload-forgotten";

function forgotten(client: RegistryClient): EspalierError {
  return new EspalierError("UNAVAILABLE", `The registry ${client.registry} has lost an upload in its middle`, {
    hint: "Push again: layers that are there whole are not sent a second time.",
    details: { reason: forgottenMark },
  });
}

function isForgotten(error: unknown): boolean {
  return isEspalierError(error) && error.details["reason"] === forgottenMark;
}
