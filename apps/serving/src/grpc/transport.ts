import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { EspalierError, toEspalierError } from "@espalier/core";
import { badRequest } from "../http/request-error.ts";
import { acceptedEncodings, createFrameReader, type Frame, framed, timeoutMilliseconds, unpack } from "./frames.ts";
import { escapeStatusMessage, statusMessage, statusOf } from "./status.ts";

/** What a method knows of its caller. */
export interface GrpcCall {
  headers: IncomingHttpHeaders;
  /** Milliseconds since the epoch. */
  deadline?: number;
  /** Aborted when the caller cancels, goes away or has been answered. */
  signal: AbortSignal;
}

export interface GrpcAnswer {
  message: Buffer;
  /** Initial metadata. */
  headers?: OutgoingHttpHeaders;
}

export interface GrpcMethod {
  /** One answer a message. With `streams`, what it throws ends the stream; without, it is the status of the call. */
  answer(message: Buffer, call: GrpcCall): Promise<GrpcAnswer>;
  /** Any number of messages, answered in their order. */
  streams?: boolean;
}

export interface GrpcTransport {
  server: Http2Server;
  /** Takes no further call, ends when those in flight are answered and every connection is closed. */
  close(): Promise<void>;
}

/** Messages of one stream that are worked on at once; further ones wait in the caller's window. */
const streamConcurrency = 64;
const windowBytes = 1024 * 1024;
const dayMilliseconds = 86_400_000;

/**
 * gRPC over HTTP/2 without TLS (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md), methods by their path. A library of its own would bring twenty
 * packages into every image for these few rules.
 */
export function createGrpcTransport(
  methods: ReadonlyMap<string, GrpcMethod>,
  options: { messageLimitBytes: number },
): GrpcTransport {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer({
    settings: { initialWindowSize: windowBytes, maxConcurrentStreams: 1000 },
    // In MB; the default ends a connection whose large messages are waited for.
    maxSessionMemory: 256,
  });
  server.on("session", (session) => {
    sessions.add(session);
    session.setLocalWindowSize(16 * windowBytes);
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => serve(stream, headers, methods, options.messageLimitBytes));
  return {
    server,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.close();
      await closed;
    },
  };
}

function serve(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  methods: ReadonlyMap<string, GrpcMethod>,
  limitBytes: number,
): void {
  // A caller that goes away is no fault of ours, and "close", which follows, says it to the method.
  stream.on("error", () => stream.destroy());
  if (!headers["content-type"]?.startsWith("application/grpc")) {
    stream.respond({ ":status": 415 }, { endStream: true });
    return;
  }
  const abort = new AbortController();
  stream.once("close", () => abort.abort());
  try {
    const path = headers[":path"] ?? "";
    const method = methods.get(path);
    if (method === undefined) {
      throw new EspalierError("UNSUPPORTED", `There is no method ${path} here`, {
        hint: `There are: ${[...methods.keys()].join(", ")}`,
      });
    }
    const timeout = timeoutMilliseconds(headers["grpc-timeout"] as string | undefined);
    const call: GrpcCall = {
      headers,
      signal: abort.signal,
      // Clients say "none" by a number of years.
      ...(timeout === undefined || timeout > dayMilliseconds ? {} : { deadline: Date.now() + timeout }),
    };
    if (method.streams === true) serveStream(stream, call, method, limitBytes);
    else serveOne(stream, call, method, limitBytes);
  } catch (error) {
    fail(stream, error);
  }
}

const encodingOf = (call: GrpcCall): string | undefined => call.headers["grpc-encoding"] as string | undefined;

function serveOne(stream: ServerHttp2Stream, call: GrpcCall, method: GrpcMethod, limitBytes: number): void {
  const reader = createFrameReader(limitBytes);
  const frames: Frame[] = [];
  stream.on("data", (chunk: Buffer) => {
    try {
      frames.push(...reader.push(chunk));
    } catch (error) {
      fail(stream, error);
    }
  });
  stream.once("end", () => {
    const [frame] = frames;
    if (stream.headersSent) return;
    if (frame === undefined || frames.length > 1 || !reader.isBetweenFrames()) {
      return fail(stream, badRequest(`The call takes one whole message, got ${frames.length}`));
    }
    answer(frame).catch((error: unknown) => fail(stream, error));
  });

  async function answer(frame: Frame): Promise<void> {
    const message = frame.compressed ? await unpack(frame, encodingOf(call), limitBytes) : frame.bytes;
    const given = await method.answer(message, call);
    open(stream, given.headers);
    if (!stream.destroyed) stream.end(framed(given.message));
  }
}

function serveStream(stream: ServerHttp2Stream, call: GrpcCall, method: GrpcMethod, limitBytes: number): void {
  const reader = createFrameReader(limitBytes);
  let inFlight = 0;
  /** Ends when everything that came so far is answered. */
  let answered = Promise.resolve();
  open(stream);
  const take = (frame: Frame): void => {
    inFlight++;
    if (inFlight >= streamConcurrency) stream.pause();
    const answer = unpack(frame, encodingOf(call), limitBytes).then((message) => method.answer(message, call));
    answered = Promise.all([answered, answer]).then(([, { message }]) => {
      inFlight--;
      if (stream.destroyed) return;
      stream.write(framed(message));
      if (inFlight < streamConcurrency) stream.resume();
    });
    answered.catch((error: unknown) => fail(stream, error));
  };
  stream.on("data", (chunk: Buffer) => {
    try {
      for (const frame of reader.push(chunk)) take(frame);
    } catch (error) {
      fail(stream, error);
    }
  });
  stream.once("end", () => {
    answered.then(
      () => stream.end(),
      (error: unknown) => fail(stream, error),
    );
  });
}

/** Begins an answer that ends well, unless `fail` says otherwise. */
function open(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders = {}): void {
  if (stream.headersSent || stream.destroyed) return;
  stream.once("wantTrailers", () => stream.sendTrailers(trailersOf.get(stream) ?? { "grpc-status": "0" }));
  stream.respond(
    { ...headers, ":status": 200, "content-type": "application/grpc", "grpc-accept-encoding": acceptedEncodings },
    { waitForTrailers: true },
  );
}

/** Statuses of streams that fail after their answer began. */
const trailersOf = new WeakMap<ServerHttp2Stream, OutgoingHttpHeaders>();

function fail(stream: ServerHttp2Stream, thrown: unknown): void {
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
  stream.respond({ ":status": 200, "content-type": "application/grpc", ...trailers }, { endStream: true });
  // What the caller still sends is not waited for.
  if (!stream.readableEnded) stream.close();
}
