import type { Principal } from "../http/principal.ts";
import type { Fields } from "./fields.ts";
import type { ExperimentScope } from "./scope.ts";

/** One request of a client, read. */
export interface MlflowCall {
  /** Members of the JSON body, or of the query string, with the path's parameters laid over them. Unknown ones are ignored. */
  fields: Fields;
  principal: Principal;
  scope: ExperimentScope;
  /** Aborted when the client has gone or the server closes. */
  signal: AbortSignal;
}

export interface MlflowRoute {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Served below /api/<api> and /ajax-api/<api>. Parameters as Fastify has them: `/mlflow/traces/:trace_id/tags`. */
  path: `/mlflow/${string}`;
  api: "2.0" | "3.0";
  access: "read" | "write";
  /** false: one of the many small writes of a training loop, which no audit row follows. Reads have none anyway. */
  audited?: boolean;
  /** Largest body in bytes; 1 MiB unless told. */
  bodyLimit?: number;
  /** The answer's object, or JSON text that is ready. Throw `mlflowError`. */
  handle(call: MlflowCall): Promise<object | string> | object | string;
}

/** Every answer that says nothing but yes. */
export const empty: Readonly<Record<string, never>> = Object.freeze({});
