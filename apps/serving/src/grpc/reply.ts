import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { toEspalierError } from "@espalier/core";
import { acceptedEncodings } from "./frames.ts";
import { escapeStatusMessage, statusMessage, statusOf } from "./status.ts";

/** Statuses of streams that fail after their answer began. */
const trailersOf = new WeakMap<ServerHttp2Stream, OutgoingHttpHeaders>();

/** Node's own `date` is of no use to gRPC, and is made anew for every call. */
const responseOptions = { waitForTrailers: true, sendDate: false };

/** Begins an answer that ends well, unless `fail` says otherwise. `headers`: initial metadata. */
export function begin(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders = {}): void {
  if (stream.headersSent || stream.destroyed) return;
  stream.once("wantTrailers", () => stream.sendTrailers(trailersOf.get(stream) ?? { "grpc-status": "0" }));
  stream.respond({ ...headers, ":status": 200, "content-type": "application/grpc" }, responseOptions);
}

/** Ends a call with the status of an error; nothing when it has ended already, or the caller is gone. */
export function fail(stream: ServerHttp2Stream, thrown: unknown): void {
  if (stream.destroyed || stream.writableEnded) return;
  const error = toEspalierError(thrown);
  if (error.code === "INTERNAL") console.error(thrown);
  const trailers = {
    "grpc-status": String(statusOf(error)),
    "grpc-message": escapeStatusMessage(statusMessage(error)),
  };
  if (stream.headersSent) {
    trailersOf.set(stream, trailers);
    stream.end();
    return;
  }
  const accepted = { "grpc-accept-encoding": acceptedEncodings };
  stream.respond({ ":status": 200, "content-type": "application/grpc", ...accepted, ...trailers }, { endStream: true });
  // What the caller still sends is not waited for.
  if (!stream.readableEnded) stream.close();
}
