import { EspalierError } from "@espalier/core";
import type { z } from "zod";
import { errorFromResponse } from "./error-body.ts";
import type { RouteDefinition } from "./route.ts";
import { type RouteName, type Routes, routes } from "./routes.ts";
import { readServerSentEvents } from "./server-sent-events.ts";

type Member<Name extends string, Schema> = [Schema] extends [z.ZodType]
  ? undefined extends z.input<Schema>
    ? { [Key in Name]?: z.input<Schema> }
    : Record<never, never> extends z.input<Schema>
      ? { [Key in Name]?: z.input<Schema> }
      : { [Key in Name]: z.input<Schema> }
  : Record<never, never>;
type Get<Route, Key extends string> = Route extends Record<Key, infer Value> ? Value : undefined;

/** What a call needs: `params` of the path, `query`, `body`; each only where the route has it. */
export type CallInput<Name extends RouteName> = Member<"params", Get<Routes[Name], "params">> &
  Member<"query", Get<Routes[Name], "query">> &
  Member<"body", Get<Routes[Name], "body">> & { signal?: AbortSignal };

/** What a call answers. */
export type CallOutput<Name extends RouteName> =
  Get<Routes[Name], "response"> extends z.ZodType ? z.output<Get<Routes[Name], "response"> & z.ZodType> : undefined;

type NamesOfKind<Kind extends string> = {
  [Name in RouteName]: Routes[Name]["kind"] extends Kind
    ? Routes[Name]["role"] extends "signed"
      ? never
      : Name
    : never;
}[RouteName];
type Arguments<Name extends RouteName> =
  Record<never, never> extends CallInput<Name> ? [input?: CallInput<Name>] : [input: CallInput<Name>];

/** One server-sent event: its id (for resuming) and its data. */
export interface ClientEvent<Data> {
  id: string | undefined;
  /** `message` unless the server named it; `error` events are thrown. */
  type: string;
  data: Data;
}

export interface Client {
  /** One JSON answer. Throws the EspalierError that the server threw; UNREACHABLE when nobody answers. */
  call<Name extends NamesOfKind<"json">>(name: Name, ...input: Arguments<Name>): Promise<CallOutput<Name>>;
  /** A stream of bytes. */
  bytes<Name extends NamesOfKind<"bytes">>(name: Name, ...input: Arguments<Name>): Promise<ReadableStream<Uint8Array>>;
  /** Server-sent events until the server ends them; resumes after a broken connection by the last event's id. */
  events<Name extends NamesOfKind<"events">>(
    name: Name,
    ...input: Arguments<Name>
  ): AsyncGenerator<ClientEvent<CallOutput<Name>>, void, void>;
  /** All items of a list, page by page. */
  all<Name extends NamesOfKind<"json">>(
    name: Name,
    ...input: Arguments<Name>
  ): AsyncGenerator<CallOutput<Name> extends { items: (infer Item)[] } ? Item : never, void, void>;
}

export interface ClientOptions {
  /** `http://127.0.0.1:7878`, without the API's path. */
  url: string;
  token?: string;
  fetch?: typeof fetch;
}

interface LooseInput {
  params?: Record<string, unknown>;
  query?: Record<string, unknown>;
  body?: unknown;
  signal?: AbortSignal;
}

/** A typed client of the API, for CLI, web and scripts. */
export function createClient(options: ClientOptions): Client {
  const send = async (name: RouteName, input: LooseInput, headers: Record<string, string> = {}): Promise<Response> => {
    const route: RouteDefinition = routes[name];
    const target = urlOf(options.url, route, input);
    let response: Response;
    try {
      response = await (options.fetch ?? fetch)(target, {
        method: route.method,
        headers: {
          accept: route.kind === "events" ? "text/event-stream" : route.kind === "bytes" ? "*/*" : "application/json",
          ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
          ...(input.body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
        ...(input.signal === undefined ? {} : { signal: input.signal }),
      });
    } catch (error) {
      throw unreachable(options.url, error, input.signal);
    }
    if (!response.ok) throw errorFromResponse(response.status, await response.text());
    return response;
  };

  async function* events(name: RouteName, input: LooseInput): AsyncGenerator<ClientEvent<unknown>, void, void> {
    let lastId: string | undefined;
    let failures = 0;
    for (;;) {
      try {
        const response = await send(name, input, lastId === undefined ? {} : { "last-event-id": lastId });
        for await (const event of readServerSentEvents(response.body)) {
          failures = 0;
          if (event.type === "end") return;
          if (event.type === "error") throw errorFromResponse(500, event.data);
          if (event.id !== undefined) lastId = event.id;
          yield { id: event.id, type: event.type, data: JSON.parse(event.data) as unknown };
        }
        failures += 1;
      } catch (error) {
        if (input.signal?.aborted || !isBrokenConnection(error)) throw error;
        failures += 1;
        if (failures > 5) throw error;
      }
      if (failures > 5) throw unreachable(options.url, new Error("the stream ended again and again"), undefined);
      await pause(Math.min(2000, 100 * 2 ** failures), input.signal);
    }
  }

  const client = {
    async call(name: RouteName, input: LooseInput = {}): Promise<unknown> {
      return (await send(name, input)).json();
    },
    async bytes(name: RouteName, input: LooseInput = {}): Promise<unknown> {
      return (await send(name, input)).body ?? new ReadableStream({ start: (controller) => controller.close() });
    },
    events: (name: RouteName, input: LooseInput = {}) => events(name, input),
    async *all(name: RouteName, input: LooseInput = {}): AsyncGenerator<unknown, void, void> {
      let cursor: string | undefined;
      do {
        const query = { ...input.query, ...(cursor === undefined ? {} : { cursor }) };
        const page = (await (await send(name, { ...input, query })).json()) as { items: unknown[]; next?: string };
        yield* page.items;
        cursor = page.next;
      } while (cursor !== undefined);
    },
  };
  return client as unknown as Client;
}

function urlOf(base: string, route: RouteDefinition, input: LooseInput): string {
  const path = route.path.replace(/:([A-Za-z]+)/g, (_, name: string) => {
    const value = input.params?.[name];
    if (value === undefined || value === "") throw new EspalierError("INVALID_INPUT", `"${name}" is missing`);
    return encodeURIComponent(String(value));
  });
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(input.query ?? {}))
    if (value !== undefined) query.set(name, String(value));
  const text = query.toString();
  return `${base.replace(/\/+$/, "")}${path}${text === "" ? "" : `?${text}`}`;
}

function unreachable(url: string, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return error;
  return new EspalierError("UNREACHABLE", `No control plane answers at ${url}`, {
    cause: error,
    hint: "Start one with `espalier up`, or check `control_plane.url`.",
  });
}

/** Errors that the server sent are final; those of the network (and UNREACHABLE) are tried again. */
function isBrokenConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return !("code" in error) || error.code === "UNREACHABLE" || error.name === "TypeError";
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
