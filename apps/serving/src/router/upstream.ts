import { EspalierError, type RoutedVersion } from "@espalier/core";
import { type Dispatcher, Pool } from "undici";

interface UpstreamAnswer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Buffer;
}

interface UpstreamRequest {
  method: "GET" | "POST";
  path: string;
  headers: Readonly<Record<string, string>>;
  body: Buffer | undefined;
}

/** Connections to one model server, kept open, and what has been counted about it. */
export interface Upstream {
  readonly target: RoutedVersion;
  inFlight: number;
  requests: number;
  errors: number;
  /** Whether the last look at its readiness found it ready; `message` why not. */
  ready: boolean;
  message: string | undefined;
  send(request: UpstreamRequest): Promise<UpstreamAnswer>;
  probe(): Promise<boolean>;
  close(): Promise<void>;
}

/** Nothing of the request can have been answered when these occur, and a prediction may be asked twice anyway. */
const brokenConnection = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "UND_ERR_SOCKET", "UND_ERR_CLOSED"]);

const answerMilliseconds = 60_000;
/** A server that is busy with one long run answers late; one that is stuck must not hold up `/status`. */
const probeMilliseconds = 5_000;

export function createUpstream(target: RoutedVersion): Upstream {
  const pool = new Pool(`http://127.0.0.1:${target.port}`, {
    connections: 256,
    keepAliveTimeout: 30_000,
    bodyTimeout: answerMilliseconds,
    connectTimeout: 5_000,
  });

  async function send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    try {
      return await dispatch(pool, request);
    } catch (first) {
      if (!brokenConnection.has(errorCode(first))) throw upstreamError(first, target);
    }
    try {
      return await dispatch(pool, request);
    } catch (second) {
      throw upstreamError(second, target);
    }
  }

  const upstream: Upstream = {
    target,
    inFlight: 0,
    requests: 0,
    errors: 0,
    ready: false,
    message: "not asked yet",
    send,
    async probe() {
      try {
        const probe = { method: "GET", path: "/v2/health/ready", headers: {}, body: undefined } as const;
        const answer = await dispatch(pool, probe, probeMilliseconds);
        upstream.ready = answer.status === 200;
        upstream.message = upstream.ready ? undefined : `its readiness answers ${answer.status}`;
      } catch (error) {
        upstream.ready = false;
        upstream.message = error instanceof Error ? error.message : String(error);
      }
      return upstream.ready;
    },
    close: () => pool.close(),
  };
  return upstream;
}

function dispatch(pool: Pool, request: UpstreamRequest, timeout = answerMilliseconds): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status = 0;
    let headers: UpstreamAnswer["headers"] = {};
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => undefined,
      onResponseStart(_controller, statusCode, received) {
        status = statusCode;
        headers = received;
      },
      onResponseData(_controller, chunk) {
        chunks.push(chunk);
      },
      onResponseEnd() {
        resolve({ status, headers, body: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks) });
      },
      onResponseError(_controller, error) {
        reject(error);
      },
    };
    pool.dispatch(
      {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body ?? null,
        headersTimeout: timeout,
      },
      handler,
    );
  });
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function upstreamError(cause: unknown, target: RoutedVersion): EspalierError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const code = /TIMEOUT/.test(errorCode(cause)) ? "TIMEOUT" : "UNAVAILABLE";
  return new EspalierError(code, `Version ${target.version} of ${target.model} does not answer: ${reason}`, { cause });
}
