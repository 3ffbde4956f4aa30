import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { EspalierError } from "@espalier/core";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listen } from "../http/listen.ts";
import { rawGrpcCall } from "../testing/raw-grpc-call.ts";
import type { GrpcCall, GrpcMethod } from "./calls.ts";
import { framed } from "./frames.ts";
import { createGrpcTransport, type GrpcTransport } from "./transport.ts";

const calls: GrpcCall[] = [];
const methods = new Map<string, GrpcMethod>([
  [
    "/test/Echo",
    {
      async answer(message, call) {
        calls.push(call);
        return { message, headers: { "x-length": String(message.length) } };
      },
    },
  ],
  ["/test/EchoAll", { streams: true, answer: async (message) => ({ message }) }],
  ["/test/Wait", { answer: (_message, { signal }) => new Promise((_resolve, reject) => waitFor(signal, reject)) }],
  [
    "/test/Fail",
    {
      answer: () =>
        Promise.reject(new EspalierError("CONFLICT", "100 % taken: é", { at: "place", hint: "Try again." })),
    },
  ],
]);
let cancelled = 0;

function waitFor(signal: AbortSignal, reject: (error: Error) => void): void {
  signal.addEventListener("abort", () => {
    cancelled++;
    reject(new EspalierError("CANCELLED", "The caller is gone"));
  });
}

const pass = (bytes: Buffer): Buffer => bytes;
const start = async (): Promise<{ transport: GrpcTransport; port: number }> => {
  const transport = createGrpcTransport(methods, { messageLimitBytes: 1000 });
  return { transport, port: await listen(transport.server, "127.0.0.1", 0) };
};
const clientOf = (port: number): Client => new Client(`127.0.0.1:${port}`, credentials.createInsecure());

let transport: GrpcTransport;
let port: number;
beforeAll(async () => {
  ({ transport, port } = await start());
});
afterAll(() => transport.close());

describe("a call", () => {
  test("carries metadata both ways, and a deadline", async () => {
    const answered = await rawGrpcCall(
      port,
      "/test/Echo",
      { "grpc-timeout": "5S", "x-mine": "1" },
      framed(Buffer.from("abc")),
    );
    expect(answered).toMatchObject({ ":status": 200, "x-length": "3", "grpc-status": "0" });
    const call = calls.at(-1);
    expect(call?.headers["x-mine"]).toBe("1");
    expect(Math.abs((call?.deadline ?? 0) - Date.now() - 5000)).toBeLessThan(5000);
  });

  test("may be compressed, and not to more than the limit", async () => {
    const gzip = async (size: number) => {
      const message = framed(gzipSync(Buffer.alloc(size)));
      message[0] = 1;
      return rawGrpcCall(port, "/test/Echo", { "grpc-encoding": "gzip" }, message);
    };
    expect(await gzip(1000)).toMatchObject({ "grpc-status": "0", "x-length": "1000" });
    expect(await gzip(1001)).toMatchObject({ "grpc-status": String(status.RESOURCE_EXHAUSTED) });
  });

  test("says an error with its place, hint and code, percent-escaped", async () => {
    const caller = clientOf(port);
    const error = await new Promise<ServiceError | null>((resolve) => {
      caller.makeUnaryRequest("/test/Fail", pass, pass, Buffer.from("a"), resolve);
    });
    expect(error?.code).toBe(status.ABORTED);
    expect(error?.details).toBe("100 % taken: é (at place). Try again. [CONFLICT]");
    caller.close();
  });

  test("that is cancelled tells its method", async () => {
    const caller = clientOf(port);
    const before = cancelled;
    const error = await new Promise<ServiceError | null>((resolve) => {
      const call = caller.makeUnaryRequest("/test/Wait", pass, pass, Buffer.from("a"), resolve);
      transport.server.once("stream", () => call.cancel());
    });
    expect(error?.code).toBe(status.CANCELLED);
    await expect.poll(() => cancelled).toBe(before + 1);
    caller.close();
  });
});

describe("what no library sends", () => {
  test("what is not gRPC gets 415", async () => {
    const answered = await rawGrpcCall(port, "/test/Echo", { "content-type": "application/json" }, Buffer.from("{}"));
    expect(answered).toMatchObject({ ":status": 415 });
  });

  test.each([
    ["half a message", {}, Buffer.from([0, 0, 0, 0, 9, 1]), status.INVALID_ARGUMENT],
    ["no message", {}, Buffer.alloc(0), status.INVALID_ARGUMENT],
    ["two messages", {}, Buffer.alloc(10), status.INVALID_ARGUMENT],
    ["a length above the limit", {}, Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), status.RESOURCE_EXHAUSTED],
    ["an unknown compression", { "grpc-encoding": "snappy" }, Buffer.from([1, 0, 0, 0, 1, 1]), status.UNIMPLEMENTED],
    ["what is not gzip", { "grpc-encoding": "gzip" }, Buffer.from([1, 0, 0, 0, 1, 1]), status.INVALID_ARGUMENT],
    ["a time-out that is none", { "grpc-timeout": "soon" }, Buffer.alloc(5), status.INVALID_ARGUMENT],
  ])("%s", async (_what, headers, body, code) => {
    for (const path of ["/test/Echo", "/test/EchoAll"]) {
      const answered = await rawGrpcCall(port, path, headers, body);
      // A stream takes any number of messages, none as well.
      const isFine = path === "/test/EchoAll" && /^(no message|two messages)$/.test(_what);
      expect(answered["grpc-status"]).toBe(String(isFine ? status.OK : code));
    }
  });

  test("bytes that are no HTTP/2 end their connection alone", async () => {
    await new Promise<void>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n\r\n"));
      socket.on("close", () => resolve());
      socket.on("error", reject);
      socket.resume();
    });
    expect(await rawGrpcCall(port, "/test/Echo", {}, framed(Buffer.from("a")))).toMatchObject({ "grpc-status": "0" });
  });
});

describe("stopping", () => {
  test("an open stream is told, what it has asked is answered, and the server ends", async () => {
    const other = await start();
    const caller = clientOf(other.port);
    const stream = caller.makeBidiStreamRequest("/test/EchoAll", pass, pass, new Metadata());
    const ended = new Promise<ServiceError>((resolve) => {
      stream.on("error", resolve);
    });
    const first = new Promise<Buffer>((resolve) => {
      stream.on("data", resolve);
    });
    stream.write(Buffer.from("asked"));
    expect(String(await first)).toBe("asked");
    await other.transport.close();
    expect((await ended).code).toBe(status.UNAVAILABLE);
    caller.close();
  });

  test("a message of which half has come does not keep the server for ever", async () => {
    const other = await start();
    const session = connectHttp2(`http://127.0.0.1:${other.port}`);
    const headers = { ":method": "POST", ":path": "/test/Echo", "content-type": "application/grpc" };
    const request = session.request(headers);
    const answered = new Promise<Record<string, unknown>>((resolve) => {
      request.on("response", resolve);
    });
    request.on("error", () => request.close());
    request.write(Buffer.from([0, 0, 0, 0, 9, 1]));
    await new Promise((resolve) => other.transport.server.once("stream", resolve));
    await other.transport.close();
    expect(await answered).toMatchObject({ "grpc-status": String(status.UNAVAILABLE) });
    session.close();
  });
});
