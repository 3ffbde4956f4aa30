import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { EspalierError, errorTable } from "@espalier/core";
import { afterEach, describe, expect, expectTypeOf, test } from "vitest";
import { createClient } from "./client.ts";
import { errorBodySchema, errorFromResponse } from "./error-body.ts";
import type { Run } from "./resources/runs.ts";
import { routes } from "./routes.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function serve(answer: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(answer as never);
  servers.push(server);
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );
}

describe("the client", () => {
  test("throws the error that the server sent", async () => {
    const url = await serve(((_request: unknown, response: import("node:http").ServerResponse) => {
      response.statusCode = 404;
      response.end(
        JSON.stringify({ error: new EspalierError("NOT_FOUND", "No run 1", { hint: "espalier runs list" }).toJSON() }),
      );
    }) as never);
    const call = createClient({ url }).call("runs.get", { params: { runId: "1" } });
    await expect(call).rejects.toMatchObject({ code: "NOT_FOUND", message: "No run 1", hint: "espalier runs list" });
  });

  test("says UNREACHABLE when nobody answers", async () => {
    const url = await serve((() => undefined) as never);
    const server = servers.pop();
    await new Promise((resolve) => server?.close(resolve));
    await expect(createClient({ url }).call("project.info")).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  test("resumes events by the last id after a broken connection", async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve(((
      request: import("node:http").IncomingMessage,
      response: import("node:http").ServerResponse,
    ) => {
      seen.push(request.headers["last-event-id"] as string | undefined);
      response.setHeader("content-type", "text/event-stream");
      if (seen.length === 1) {
        response.write(': beat\n\nid: 1\ndata: {"number":1}\n\n', () => response.destroy());
      } else {
        response.end('id: 2\ndata: {"number":2}\n\nevent: end\ndata: {}\n\n');
      }
    }) as never);
    const numbers: number[] = [];
    for await (const event of createClient({ url }).events("runs.events", { params: { runId: "r" } })) {
      numbers.push(event.data.number);
    }
    expect(numbers).toEqual([1, 2]);
    expect(seen).toEqual([undefined, "1"]);
  });

  test("is typed by the contract", () => {
    const client = createClient({ url: "http://127.0.0.1:1" });
    const create = () => client.call("runs.create", { body: { pipeline: "train" } });
    expectTypeOf(create).returns.resolves.toEqualTypeOf<Run>();
    // @ts-expect-error: the body is missing
    const wrong = () => client.call("runs.create");
    expect([create, wrong]).toHaveLength(2);
  });
});

describe("the contract", () => {
  test("every error code survives the way through HTTP", () => {
    for (const code of Object.keys(errorTable) as (keyof typeof errorTable)[]) {
      const error = new EspalierError(code, "m", { at: "a", hint: "h", details: { x: 1 } });
      const text = JSON.stringify({ error: error.toJSON() });
      expect(errorBodySchema.parse(JSON.parse(text)).error.code).toBe(code);
      expect(errorFromResponse(error.httpStatus, text).toJSON()).toEqual(error.toJSON());
    }
  });

  test("routes are unique, and each names its path parameters", () => {
    const seen = new Set<string>();
    for (const [name, route] of Object.entries(routes) as [string, import("./route.ts").RouteDefinition][]) {
      const key = `${route.method} ${route.path.replace(/:[A-Za-z]+/g, ":")}`;
      expect(seen, `${name} repeats ${key}`).not.toContain(key);
      seen.add(key);
      const inPath = [...route.path.matchAll(/:([A-Za-z]+)/g)].map((match) => match[1]).sort();
      expect(inPath, name).toEqual(Object.keys(route.params?.shape ?? {}).sort());
      if (route.method === "GET") expect(route.body, name).toBeUndefined();
    }
  });
});
