import { setTimeout as pause } from "node:timers/promises";
import { EspalierError, toEspalierError } from "@espalier/core";
import { answerChallenge, type HeldAuthorization, parseChallenge } from "./oci-authorization.ts";
import type { RegistryCredentials } from "./oci-credentials.ts";
import { fromRegistryAnswer, fromRegistryFetch } from "./oci-errors.ts";

export interface RegistryConnection {
  /** Host, with its port where one is needed. */
  registry: string;
  plainHttp: boolean;
  /** Asked when the registry wants to know who it is, so that a renewed secret is used. */
  credentials(repository: string): Promise<RegistryCredentials | undefined>;
}

export interface RegistryRequest {
  method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below `/v2/`, or a whole address that the registry gave. */
  target: string;
  repository: string;
  /** What is asked for, in a few words. */
  what: string;
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array;
  /** Statuses that are an answer and no error, besides the 2xx. */
  allowed?: readonly number[];
  /** Of another repository, for mounting. */
  alsoPull?: string;
  /** How often it is tried when the network or the registry fails; 4 unless told. */
  tries?: number;
}

/** A registry over HTTP. Bodies are bytes in memory, so that any request can be sent again. Errors: those of `oci-errors.ts`. */
export interface RegistryClient {
  readonly registry: string;
  /** The body of the answer must be read or cancelled. */
  send(request: RegistryRequest): Promise<Response>;
}

const answerMilliseconds = 300_000;
const defaultTries = 4;
const discardMilliseconds = 30_000;
const largestErrorBytes = 64 * 1024;
const redirects = [301, 302, 303, 307, 308];

/** Reaches no network before the first request. */
export function connectRegistry(connection: RegistryConnection): RegistryClient {
  const { registry, plainHttp } = connection;
  // Docker's own registry answers under another name than images have.
  const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
  const origin = new URL(`${plainHttp ? "http" : "https"}://${host}`).origin;
  const held = new Map<string, HeldAuthorization>();

  const scopeOf = ({ repository, method, alsoPull }: RegistryRequest): string => {
    const actions = method === "GET" || method === "HEAD" ? "pull" : "pull,push";
    const other = alsoPull === undefined ? "" : ` repository:${alsoPull}:pull`;
    return `repository:${repository}:${actions}${other}`;
  };

  async function once(request: RegistryRequest): Promise<Response> {
    const scope = scopeOf(request);
    for (let challenged = false; ; challenged = true) {
      const authorization = held.get(scope);
      const isFresh = authorization !== undefined && authorization.expiresAt > Date.now();
      const response = await ask(request, isFresh ? authorization.header : undefined);
      if (response.status !== 401 || challenged) return response;
      const challenge = parseChallenge(response.headers.get("www-authenticate"));
      if (challenge === undefined) return response;
      await discard(response);
      const credentials = await connection.credentials(request.repository);
      held.set(scope, await answerChallenge(challenge, registry, scope, credentials, plainHttp));
    }
  }

  /** Follows redirects itself: the authorization is for the registry, never for the storage that it sends to. */
  async function ask(request: RegistryRequest, authorization: string | undefined): Promise<Response> {
    let target = new URL(request.target.includes("://") ? request.target : `/v2/${request.target}`, origin);
    for (let hops = 0; ; hops += 1) {
      if (hops > 5 || (target.protocol !== "https:" && !plainHttp)) throw sentElsewhere(request, target);
      const response = await fetchHead(target, request, target.origin === origin ? authorization : undefined);
      const location = response.headers.get("location");
      const isRead = request.method === "GET" || request.method === "HEAD";
      if (!isRead || !redirects.includes(response.status) || location === null) return response;
      await discard(response);
      target = new URL(location, target);
    }
  }

  /** By a redirect, or by the place that it named for an upload: a model must not leave in plain text because of either. */
  function sentElsewhere({ what }: RegistryRequest, target: URL): EspalierError {
    return new EspalierError("UNSUPPORTED", `The registry ${registry} sends elsewhere, ${what}: to ${target.origin}`, {
      hint: "With --plain-http, or `plain_http: true`, places without TLS are allowed.",
    });
  }

  /** The time limit is for the head of the answer: a layer may take long, and a dead connection ends by itself. */
  async function fetchHead(
    target: URL,
    request: RegistryRequest,
    authorization: string | undefined,
  ): Promise<Response> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new DOMException("no answer", "TimeoutError")), answerMilliseconds);
    try {
      return await fetch(target, {
        method: request.method,
        headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
        redirect: "manual",
        signal: limit.signal,
        ...(request.body === undefined ? {} : { body: request.body as NonNullable<RequestInit["body"]> }),
      });
    } catch (error) {
      throw fromRegistryFetch(error, registry, request.what);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    registry,
    async send(request) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          const response = await once(request);
          if (response.ok || request.allowed?.includes(response.status)) return response;
          const text = (await response.text().catch(() => "")).slice(0, largestErrorBytes);
          throw fromRegistryAnswer(response.status, text, registry, request.what);
        } catch (thrown) {
          const error = toEspalierError(thrown);
          const isFinal = !error.retryable || error.code === "DISK_FULL" || isRefused(error);
          if (isFinal || attempt >= (request.tries ?? defaultTries)) throw error;
          await pause(100 * 4 ** (attempt - 1) * (0.5 + Math.random() / 2));
        }
      }
    },
  };
}

/**
 * Reads an answer of which only the head counts, so that its connection serves the next request. What is long or slow is not worth that, and a
 * connection that breaks now takes nothing with it.
 */
export async function discard(response: Response): Promise<void> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  const giveUp = (): void => void reader.cancel().catch(() => undefined);
  const timer = setTimeout(giveUp, discardMilliseconds);
  try {
    for (let bytes = 0; bytes <= largestErrorBytes; ) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (done || value === undefined) return;
      bytes += value.byteLength;
    }
    giveUp();
  } finally {
    clearTimeout(timer);
  }
}

/** Nobody listens, or there is no such host: that does not change within a second. */
function isRefused(error: EspalierError): boolean {
  return error.code === "UNREACHABLE" && /ECONNREFUSED|ENOTFOUND|CERT|self-signed|SSL/i.test(error.message);
}
