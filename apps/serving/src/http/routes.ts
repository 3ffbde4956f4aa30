import type { IncomingMessage, ServerResponse } from "node:http";
import { EspalierError } from "@espalier/core";
import { log } from "../log.ts";
import { answer, answerError, type ErrorForm, type Exchange } from "./exchange.ts";
import { badRequest } from "./request-error.ts";

type Method = "GET" | "POST" | "DELETE";

export interface Route {
  method: Method;
  /** `/v2/models/{model}/infer`: a name in braces stands for one part of the path. The first route that fits is taken. */
  path: string;
  errorForm: ErrorForm;
  handle(exchange: Exchange): void | Promise<void>;
}

interface Pattern {
  route: Route;
  expression: RegExp;
  names: string[];
}

/** Paths without names are found by look-up, the others in the order of the table. */
export function createDispatch(
  routes: readonly Route[],
  unknownForm: ErrorForm,
): (request: IncomingMessage, response: ServerResponse) => void {
  const fixed = new Map<string, Route>();
  const patterns: Pattern[] = [];
  for (const route of routes) {
    const key = `${route.method} ${route.path}`;
    if (route.path.includes("{")) patterns.push(compile(route));
    else if (!fixed.has(key)) fixed.set(key, route);
  }

  function find(method: string, path: string): { route: Route; params: Record<string, string> } | undefined {
    const route = fixed.get(`${method} ${path}`);
    if (route !== undefined) return { route, params: {} };
    for (const pattern of patterns) {
      if (pattern.route.method !== method) continue;
      const match = pattern.expression.exec(path);
      if (match === null) continue;
      const params: Record<string, string> = {};
      pattern.names.forEach((name, index) => {
        params[name] = match[index + 1] ?? "";
      });
      return { route: pattern.route, params };
    }
    return undefined;
  }

  async function handle(exchange: Exchange): Promise<void> {
    const { request, path } = exchange;
    const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
    try {
      const found = find(method, path);
      if (found === undefined) return refuseUnknown(exchange, method);
      exchange.errorForm = found.route.errorForm;
      exchange.params = decoded(found.params);
      await found.route.handle(exchange);
    } catch (thrown) {
      const error = answerError(exchange, thrown);
      if (error.code !== "INTERNAL") return;
      const stack = thrown instanceof Error ? thrown.stack : undefined;
      log("error", error.message, { path: path.slice(0, 200), code: error.code, stack });
    }
  }

  function refuseUnknown(exchange: Exchange, method: string): void {
    const { path, request } = exchange;
    request.resume();
    const allowed = (["GET", "POST", "DELETE"] as const).filter((other) => find(other, path) !== undefined);
    const shown = `${method.slice(0, 20)} ${path.slice(0, 200)}`;
    if (allowed.length === 0) throw new EspalierError("NOT_FOUND", `There is nothing at ${shown}`);
    exchange.headers.allow = allowed.join(", ");
    const { body, contentType } = exchange.errorForm(
      new EspalierError("INVALID_INPUT", `There is nothing at ${shown}, only ${allowed.join(", ")}`),
    );
    answer(exchange, 405, body, contentType);
  }

  return (request, response) => {
    const startedAt = performance.now();
    const [path = "/"] = (request.url ?? "/").split("?", 1);
    void handle({ request, response, path, params: {}, startedAt, errorForm: unknownForm, headers: {} });
  };
}

function compile(route: Route): Pattern {
  const names: string[] = [];
  const source = route.path.split(/(\{\w+\})/).map((part) => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined) return part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    names.push(name);
    return "([^/]+?)";
  });
  return { route, names, expression: new RegExp(`^${source.join("")}$`) };
}

function decoded(params: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(params)) {
    if (!value.includes("%")) continue;
    try {
      params[name] = decodeURIComponent(value);
    } catch {
      throw badRequest(`"${value.slice(0, 100)}" in the path is not percent-encoded UTF-8`);
    }
  }
  return params;
}
