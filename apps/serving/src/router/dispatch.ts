import { PassThrough, type Readable } from "node:stream";
import type { Dispatcher, Pool } from "undici";

export interface ReplicaRequest {
  method: "GET" | "POST";
  path: string;
  headers: Readonly<Record<string, string>>;
  body: Buffer | undefined;
}

export interface Answer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Empty when `stream` is there. */
  body: Buffer;
  /** Server-sent events are passed on as they come. */
  stream?: Readable;
}

const broken = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "UND_ERR_SOCKET",
  "UND_ERR_CLOSED",
  "UND_ERR_DESTROYED",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Nobody can have received an answer when these occur. */
export function isBrokenConnection(error: unknown): boolean {
  return broken.has(errorCode(error));
}

export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

const nothing = Buffer.alloc(0);

/** One request with its whole answer. `timeoutMilliseconds` bounds the wait for headers, and every pause after them. */
export function dispatch(pool: Pool, request: ReplicaRequest, timeoutMilliseconds: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let answer: Answer | undefined;
    let stream: PassThrough | undefined;
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => undefined,
      onResponseStart(controller, status, headers) {
        answer = { status, headers, body: nothing };
        if (!String(headers["content-type"] ?? "").startsWith("text/event-stream")) return;
        stream = new PassThrough();
        stream.on("drain", () => controller.resume());
        // The caller went away: nobody reads on.
        stream.on("close", () => {
          if (!stream?.writableEnded) controller.abort(new Error("the caller went away"));
        });
        resolve({ ...answer, stream });
      },
      onResponseData(controller, chunk) {
        if (stream === undefined) chunks.push(chunk);
        else if (!stream.write(chunk)) controller.pause();
      },
      onResponseEnd() {
        if (stream !== undefined) stream.end();
        else if (answer === undefined) reject(new Error("the answer has no head"));
        else {
          answer.body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
          resolve(answer);
        }
      },
      onResponseError(_controller, error) {
        if (stream !== undefined) stream.destroy(error);
        else reject(error);
      },
    };
    pool.dispatch(
      {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body ?? null,
        headersTimeout: timeoutMilliseconds,
        bodyTimeout: timeoutMilliseconds,
      },
      handler,
    );
  });
}
