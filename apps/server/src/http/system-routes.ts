import { apiPrefix } from "@espalier/contract";
import type { FastifyInstance } from "fastify";
import type { ControlPlane } from "../control-plane.ts";
import { renderMetrics } from "../operations/metrics.ts";
import { openApiDocument } from "./openapi.ts";

/** What machines ask: neither has a secret in it. */
export function registerSystemRoutes(app: FastifyInstance, plane: ControlPlane): void {
  const { version, instance } = plane;
  app.get("/health", { config: { policy: "open" } }, async () => ({ status: "ok", version, instance }));
  app.get("/metrics", { config: { policy: "open" } }, async (_request, reply) => {
    const { contentType, text } = await renderMetrics(plane);
    return reply.type(contentType).send(text);
  });
  app.get(`${apiPrefix}/openapi.json`, { config: { policy: "viewer" } }, () => openApiDocument(plane.version));
}
