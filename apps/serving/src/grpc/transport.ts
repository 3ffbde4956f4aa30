import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { EspalierError } from "@espalier/core";
import { type GrpcCall, type GrpcMethod, type Leave, serveMany, serveOne } from "./calls.ts";
import { timeoutMilliseconds } from "./frames.ts";
import { fail } from "./reply.ts";

export interface GrpcTransport {
  server: Http2Server;
  /** Takes no further call, ends when those in flight are answered and every connection is closed. */
  close(): Promise<void>;
}

const windowBytes = 1024 * 1024;
const dayMilliseconds = 86_400_000;
/** What a caller has, when the server stops, to finish sending a message that it has begun. */
const sendMilliseconds = 5_000;

/**
 * gRPC over HTTP/2 without TLS (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md), methods by their path. A library of its own would bring twenty
 * packages into every image for these few rules.
 */
export function createGrpcTransport(
  methods: ReadonlyMap<string, GrpcMethod>,
  options: { messageLimitBytes: number },
): GrpcTransport {
  const sessions = new Set<ServerHttp2Session>();
  /** Calls that end only when their callers say so. */
  const streaming = new Set<Leave>();
  const receiving = new Set<Leave>();
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
  server.on("stream", (stream, headers) => {
    // A caller that goes away is no fault of ours, and "close", which follows, says it to the method.
    stream.on("error", () => stream.destroy());
    if (headers["content-type"]?.startsWith("application/grpc")) serve(stream, headers);
    else stream.respond({ ":status": 415 }, { endStream: true });
  });

  function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    try {
      const method = methodOf(methods, headers[":path"] ?? "");
      const call = callOf(stream, headers);
      const set = method.streams === true ? streaming : receiving;
      const ended = (): void => {
        set.delete(leave);
      };
      const leave =
        method.streams === true
          ? serveMany(stream, call, method, options.messageLimitBytes)
          : serveOne(stream, call, method, options.messageLimitBytes, ended);
      set.add(leave);
      stream.once("close", ended);
    } catch (error) {
      fail(stream, error);
    }
  }

  return {
    server,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.close();
      for (const leave of streaming) leave();
      const late = setTimeout(() => {
        for (const leave of receiving) leave();
      }, sendMilliseconds);
      await closed;
      clearTimeout(late);
    },
  };
}

function methodOf(methods: ReadonlyMap<string, GrpcMethod>, path: string): GrpcMethod {
  const method = methods.get(path);
  if (method !== undefined) return method;
  throw new EspalierError("UNSUPPORTED", `There is no method ${path.slice(0, 200)} here`, {
    hint: `There are: ${[...methods.keys()].join(", ")}`,
  });
}

function callOf(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): GrpcCall {
  const timeout = timeoutMilliseconds(headers["grpc-timeout"] as string | undefined);
  const abort = new AbortController();
  // Only a caller that leaves early: making the reason of an abort costs more than all the rest of a call.
  stream.once("aborted", () => abort.abort());
  // Clients say "none" by a number of years.
  const deadline = timeout === undefined || timeout > dayMilliseconds ? undefined : Date.now() + timeout;
  return { headers, signal: abort.signal, ...(deadline === undefined ? {} : { deadline }) };
}
