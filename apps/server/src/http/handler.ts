import type { Readable } from "node:stream";
import type { RouteName, Routes } from "@espalier/contract";
import type { z } from "zod";
import type { Principal } from "./principal.ts";

type Member<Name extends string, Route, Key extends string> =
  Route extends Record<Key, z.ZodType> ? { [K in Name]: z.output<Route[Key]> } : Record<never, never>;
type Body<Route> = Route extends { body: "bytes" } ? { body: Readable } : Member<"body", Route, "body">;

export interface RequestContext {
  principal: Principal | undefined;
  /** Aborted when the client goes away or the server closes. */
  signal: AbortSignal;
  /** Value of `Last-Event-ID`. */
  lastEventId: string | undefined;
  /** The rest of a path that ends in `*`. */
  rest: string;
  /** Bytes of the body, where the client said so. */
  contentLength: number | undefined;
}

export interface BytesAnswer {
  body: AsyncIterable<Uint8Array> | Uint8Array | string;
  size?: number;
  contentType?: string;
  /** Suggests a name for saving. */
  fileName?: string;
}

export interface ServerEvent<Data> {
  /** What `Last-Event-ID` will say. */
  id?: string | number;
  data: Data;
}

type Answer<Route> = Route extends { kind: "bytes" }
  ? Promise<BytesAnswer>
  : Route extends { kind: "events"; response: z.ZodType }
    ? AsyncIterable<ServerEvent<z.input<Route["response"]>>>
    : Route extends { response: z.ZodType }
      ? Promise<z.input<Route["response"]>>
      : never;

type HandlerInput<Name extends RouteName> = Member<"params", Routes[Name], "params"> &
  Member<"query", Routes[Name], "query"> &
  Body<Routes[Name]> &
  RequestContext;

type Handler<Name extends RouteName> = (input: HandlerInput<Name>) => Answer<Routes[Name]>;

/** One handler for every route of the contract: a route without one does not compile. */
export type Handlers = { [Name in RouteName]: Handler<Name> };
/** The handlers of some resources. */
export type HandlersOf<Names extends RouteName> = Pick<Handlers, Names>;
export type NamesUnder<Prefix extends string> = Extract<RouteName, `${Prefix}.${string}`>;
