import { setTimeout as pause } from "node:timers/promises";
import { type ByteStream, type CallContext, EspalierError, toEspalierError } from "@espalier/core";
import { fromMlflowAnswer, fromMlflowFetch } from "./mlflow-errors.ts";
import { parseMlflowJson, writeMlflowJson } from "./mlflow-json.ts";

export type MlflowCredentials = { token: string } | { username: string; password: string };

export interface MlflowConnection {
  /** Without a user, a password or a query: credentials come beside it. */
  uri: string;
  /** Asked before each request, so that a renewed secret is used at once. */
  credentials?: () => Promise<MlflowCredentials | undefined>;
}

export type MlflowObject = Readonly<Record<string, unknown>>;
type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** A server that speaks MLflow's REST. Errors: those of `fromMlflowAnswer` and `fromMlflowFetch`. */
export interface MlflowApi {
  readonly uri: string;
  /** `path` without its prefix: `mlflow/runs/get`; `api` is the version before it. */
  get(path: string, query?: Query, context?: CallContext & { api?: string }): Promise<MlflowObject>;
  send(
    method: "POST" | "PATCH" | "DELETE",
    path: string,
    body: unknown,
    context?: CallContext & { api?: string },
  ): Promise<MlflowObject>;
  /** `url` from the root, with its query; NOT_FOUND when there is no such file. */
  download(url: string, context?: CallContext): Promise<{ size: number | undefined; body: ByteStream }>;
  /** Puts a file behind the artifact proxy. */
  upload(path: string, open: () => Promise<ByteStream>, size: number | undefined, context?: CallContext): Promise<void>;
  version(context?: CallContext): Promise<string>;
}

type Body = NonNullable<RequestInit["body"]>;
const requestMilliseconds = 120_000;
const transferMilliseconds = 3_600_000;
const tries = 4;

/** Reaches no network before the first call. INVALID_INPUT: the address is none. */
export function connectMlflow(connection: MlflowConnection): MlflowApi {
  const uri = plainUri(connection.uri);

  async function ask(
    method: string,
    url: string,
    what: string,
    options: { body?: () => Promise<Body>; headers?: Record<string, string>; timeout: number; again: boolean },
    context?: CallContext,
  ): Promise<Response> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await askOnce(method, url, what, options, context);
      } catch (thrown) {
        const error = toEspalierError(thrown);
        const reached = error.code !== "UNREACHABLE" || !String(error.message).includes("ECONNREFUSED");
        const may = error.code === "RATE_LIMITED" || !reached || (options.again && error.retryable);
        if (!may || attempt >= tries || context?.signal?.aborted) throw error;
        await pause(100 * 4 ** (attempt - 1) * (0.5 + Math.random() / 2), undefined, {
          ...(context?.signal === undefined ? {} : { signal: context.signal }),
        }).catch(() => undefined);
      }
    }
  }

  async function askOnce(
    method: string,
    url: string,
    what: string,
    options: { body?: () => Promise<Body>; headers?: Record<string, string>; timeout: number },
    context?: CallContext,
  ): Promise<Response> {
    const timeout = AbortSignal.timeout(options.timeout);
    const signal = context?.signal === undefined ? timeout : AbortSignal.any([context.signal, timeout]);
    const headers = { ...options.headers, ...authorization(await connection.credentials?.()) };
    let response: Response;
    try {
      const body = await options.body?.();
      // A redirect could carry the credentials to another place.
      response = await fetch(`${uri}${url}`, {
        method,
        headers,
        signal,
        redirect: "error",
        ...(body === undefined ? {} : { body, duplex: "half" }),
      } as RequestInit);
      if (response.ok) return response;
    } catch (error) {
      throw fromMlflowFetch(error, uri, what);
    }
    const answer = parsed(await response.text().catch(() => ""));
    throw fromMlflowAnswer(response.status, answer, what);
  }

  async function object(response: Response, what: string): Promise<MlflowObject> {
    const text = await response.text().catch((error: unknown) => {
      throw fromMlflowFetch(error, uri, what);
    });
    const answer = parsed(text);
    if (answer !== undefined) return answer;
    throw new EspalierError("UNSUPPORTED", `What answers at ${uri} is no MLflow server (${what}: no JSON object)`, {
      hint: "Give the address that MLFLOW_TRACKING_URI has.",
    });
  }

  return {
    uri,
    get: async (path, query = {}, context) =>
      object(
        await ask(
          "GET",
          `/api/${context?.api ?? "2.0"}/${path}${queryText(query)}`,
          path,
          { timeout: requestMilliseconds, again: true },
          context,
        ),
        path,
      ),
    send: async (method, path, body, context) => {
      const headers = { "content-type": "application/json" };
      const text = writeMlflowJson(body);
      const options = { body: async () => text, headers, timeout: requestMilliseconds, again: !isCreation(path) };
      return object(await ask(method, `/api/${context?.api ?? "2.0"}/${path}`, path, options, context), path);
    },
    download: async (url, context) => {
      const what = url.split("?")[0] ?? url;
      const response = await ask("GET", url, what, { timeout: transferMilliseconds, again: true }, context);
      const length = response.headers.get("content-length");
      const isPlain = response.headers.get("content-encoding") === null;
      return {
        size: length === null || !isPlain ? undefined : Number(length),
        body: bytesOf(response, uri, what),
      };
    },
    upload: async (path, open, size, context) => {
      const url = `/api/2.0/mlflow-artifacts/artifacts/${encodePath(path)}`;
      const response = await ask(
        "PUT",
        url,
        `uploading ${path}`,
        {
          body: async () => ReadableStream.from(await open()) as unknown as Body,
          headers: {
            "content-type": "application/octet-stream",
            ...(size === undefined ? {} : { "content-length": String(size) }),
          },
          timeout: transferMilliseconds,
          again: true,
        },
        context,
      );
      await response.body?.cancel();
    },
    version: async (context) => {
      const response = await ask("GET", "/version", "version", { timeout: requestMilliseconds, again: true }, context);
      return (await response.text()).trim().slice(0, 50);
    },
  };
}

/** One that is sent twice makes two things. */
const isCreation = (path: string): boolean => /(^|\/)create$|mlflow\/logged-models$/.test(path);

function plainUri(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw new EspalierError(
      "INVALID_INPUT",
      "The address of an MLflow server is http(s)://host[:port][/path], without credentials",
      {
        hint: "Credentials come from a secret, or from MLFLOW_TRACKING_TOKEN or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
      },
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function authorization(credentials: MlflowCredentials | undefined): Record<string, string> {
  if (credentials === undefined) return {};
  if ("token" in credentials) return { authorization: `Bearer ${credentials.token}` };
  const pair = Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64");
  return { authorization: `Basic ${pair}` };
}

export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function queryText(query: Query): string {
  const parts = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of typeof value === "object" ? value : [value]) parts.append(key, String(one));
  }
  const text = parts.toString();
  return text === "" ? "" : `?${text}`;
}

function parsed(text: string): MlflowObject | undefined {
  try {
    const value = parseMlflowJson(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as MlflowObject) : undefined;
  } catch {
    return undefined;
  }
}

async function* bytesOf(response: Response, uri: string, what: string): AsyncGenerator<Uint8Array> {
  try {
    if (response.body !== null) yield* response.body;
  } catch (error) {
    throw fromMlflowFetch(error, uri, what);
  }
}
