import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { EspalierError } from "@espalier/core";
import { badRequest } from "../http/request-error.ts";
import { createFrameReader, type Frame, framed, unpack } from "./frames.ts";
import { begin, fail } from "./reply.ts";

/** What a method knows of its caller. */
export interface GrpcCall {
  headers: IncomingHttpHeaders;
  /** Milliseconds since the epoch. */
  deadline?: number;
  /** Aborted when the caller cancels or goes away before the answer. */
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

/** Ends a call that its caller could keep open for ever; what it has asked so far is answered. */
export type Leave = () => void;

/** Messages of one stream that are worked on at once; further ones wait in the caller's window. */
const streamConcurrency = 64;

const encodingOf = (call: GrpcCall): string | undefined => call.headers["grpc-encoding"] as string | undefined;
const stopping = () => new EspalierError("UNAVAILABLE", "The server is stopping");

/** Takes a chunk of what the caller sends; what it throws ends the call, and the rest of the call is not looked at. */
function onChunks(stream: ServerHttp2Stream, take: (chunk: Buffer) => void): void {
  const listener = (chunk: Buffer): void => {
    try {
      take(chunk);
    } catch (error) {
      stream.off("data", listener);
      stream.resume();
      fail(stream, error);
    }
  };
  stream.on("data", listener);
}

/** One message, one answer. `received` is told when the message is there. */
export function serveOne(
  stream: ServerHttp2Stream,
  call: GrpcCall,
  method: GrpcMethod,
  limitBytes: number,
  received: () => void,
): Leave {
  const reader = createFrameReader(limitBytes);
  let frame: Frame | undefined;
  onChunks(stream, (chunk) => {
    for (const next of reader.push(chunk)) {
      if (frame !== undefined) throw badRequest("The call takes one message, got more");
      frame = next;
    }
  });
  stream.once("end", () => {
    received();
    if (stream.headersSent) return;
    if (frame === undefined || !reader.isBetweenFrames()) fail(stream, badRequest("The call takes one whole message"));
    else answer(frame).catch((error: unknown) => fail(stream, error));
  });

  async function answer(whole: Frame): Promise<void> {
    const message = whole.compressed ? await unpack(whole, encodingOf(call), limitBytes) : whole.bytes;
    const given = await method.answer(message, call);
    begin(stream, given.headers);
    if (!stream.destroyed) stream.end(framed(given.message));
  }
  return () => fail(stream, stopping());
}

/** Many messages, answered in their order. */
export function serveMany(stream: ServerHttp2Stream, call: GrpcCall, method: GrpcMethod, limitBytes: number): Leave {
  const reader = createFrameReader(limitBytes);
  let inFlight = 0;
  let isLeaving = false;
  /** Ends when everything that came so far is answered. */
  let answered: Promise<void> = Promise.resolve();
  begin(stream);

  const send = async (message: Buffer): Promise<void> => {
    // Who does not read its answers is not read from either.
    if (!stream.destroyed && !stream.write(framed(message))) await drained(stream);
    inFlight--;
    if (inFlight < streamConcurrency) stream.resume();
  };
  const take = (frame: Frame): void => {
    inFlight++;
    if (inFlight >= streamConcurrency) stream.pause();
    const answer = unpack(frame, encodingOf(call), limitBytes).then((message) => method.answer(message, call));
    answered = Promise.all([answered, answer]).then(([, { message }]) => send(message));
    answered.catch((error: unknown) => fail(stream, error));
  };
  onChunks(stream, (chunk) => {
    if (!isLeaving) for (const frame of reader.push(chunk)) take(frame);
  });
  stream.once("end", () => {
    answered.then(
      () => (reader.isBetweenFrames() ? stream.end() : fail(stream, badRequest("The stream ends within a message"))),
      (error: unknown) => fail(stream, error),
    );
  });
  return () => {
    isLeaving = true;
    void answered.then(
      () => fail(stream, stopping()),
      (error: unknown) => fail(stream, error),
    );
  };
}

function drained(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}
