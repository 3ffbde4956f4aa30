import { z } from "zod";

/**
 * Who may call a route. viewer, editor and admin are roles of a project, each including the one before. `attempt` is the token of one
 * attempt of a step, good for that attempt's routes only. `signed` carries its own proof in the URL and needs no token.
 */
export const roleSchema = z.enum(["viewer", "editor", "admin"]);
export type Role = z.infer<typeof roleSchema>;
export type RoutePolicy = Role | "attempt" | "signed";

export type RouteMethod = "GET" | "POST" | "PUT" | "DELETE";

/** `json` answers one JSON document, `bytes` a stream of bytes, `events` server-sent events whose data is `response`. */
export type RouteKind = "json" | "bytes" | "events";

export interface RouteDefinition {
  method: RouteMethod;
  /** Below the control plane's URL, `:name` marks a path parameter, a trailing `*` the rest. */
  path: string;
  role: RoutePolicy;
  summary: string;
  kind: RouteKind;
  params?: z.ZodObject;
  query?: z.ZodObject;
  /** Absent: the route takes no body. `"bytes"`: the body is a stream. */
  body?: z.ZodType | "bytes";
  response?: z.ZodType;
  /** Of a `bytes` route whose content is always of one kind. */
  contentType?: string;
}

/** Keeps the exact types of a table of routes while its shape is checked. */
export function defineRoutes<const Table extends Record<string, RouteDefinition>>(table: Table): Table {
  return table;
}

export const apiPrefix = "/api/v1";

/** Query of every list: `cursor` is the `next` of the page before. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: z.string().max(500).optional(),
};

/** One page of a list; `next` is absent on the last. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next: z.string().optional() });
}

export interface Page<Item> {
  items: Item[];
  next?: string | undefined;
}

/** Milliseconds since the epoch, by the record's clock. */
export const instantSchema = z.number();
/** `sha256:` and 64 hexadecimal digits. */
export const digestSchema = z.templateLiteral(["sha256:", z.string()]);
/** A calendar date or an ISO 8601 instant. */
export const dateSchema = z
  .string()
  .regex(
    /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/,
    "a date is 2001-03-01 or 2001-03-01T00:00:00Z",
  )
  .refine((text) => !Number.isNaN(Date.parse(text)), "there is no such day or time");
/** Query flags arrive as text. */
export const flagSchema = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);

/** A POST that needs nothing more than its path; the body may be `{}` or absent. */
export const emptyBody = z.strictObject({}).optional();
/** The answer of a change that has nothing to tell. */
export const doneSchema = z.object({ done: z.literal(true) });
