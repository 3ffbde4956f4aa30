import { apiPrefix } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { type Sessions, sessionCookie, sessionSeconds } from "./sessions.ts";

const path = `${apiPrefix}/session`;
const bodySchema = z.union([
  z.strictObject({ code: z.string().min(1).max(200) }),
  z.strictObject({ token: z.string().min(1).max(10_000) }),
]);

/** A token or a link's code for a cookie that no script reads, and the way out. */
export function registerSessionRoutes(app: FastifyInstance, sessions: Sessions, isSecure: () => boolean): void {
  const cookie = (value: string, seconds: number): string =>
    [
      `${sessionCookie}=${value}`,
      "Path=/",
      "HttpOnly",
      "SameSite=Strict",
      `Max-Age=${seconds}`,
      ...(isSecure() ? ["Secure"] : []),
    ].join("; ");
  app.post(
    path,
    { config: { policy: "open" }, bodyLimit: 20_000, schema: { body: bodySchema } },
    async (request, reply) => {
      requireSamePage(request);
      const { cookie: value, principal } = await sessions.signIn(
        request.body as z.infer<typeof bodySchema>,
        request.socket.remoteAddress,
      );
      const { grant, actor } = principal;
      return reply
        .header("set-cookie", cookie(value, sessionSeconds))
        .send({ actor, role: grant.kind === "role" ? grant.role : undefined });
    },
  );
  app.get(path, { config: { policy: "viewer" } }, async ({ principal }) => ({
    actor: principal?.actor,
    role: principal?.grant.kind === "role" ? principal.grant.role : undefined,
  }));
  app.delete(path, { config: { policy: "open" } }, async (request, reply) => {
    requireSamePage(request);
    return reply.header("set-cookie", cookie("", 0)).send({});
  });
}

export function cookieOf(request: FastifyRequest): string | undefined {
  for (const part of request.headers.cookie?.split(";") ?? []) {
    const [name, value] = part.trim().split("=");
    if (name === sessionCookie && value !== undefined && value !== "") return value;
  }
  return undefined;
}

/** A browser adds the cookie by itself, so a change has to prove that a page of ours asked for it: Origin was held against Host before. */
export function requireSamePage({ method, headers }: FastifyRequest): void {
  if (method === "GET" || method === "HEAD") return;
  if (headers.origin !== undefined || headers["sec-fetch-site"] === "same-origin") return;
  throw new EspalierError("FOREIGN_HOST", "A change by a session must come from a page of this control plane", {
    hint: "Programs send `Authorization: Bearer <token>` instead of the cookie.",
  });
}
