import type { FastifyInstance } from "fastify";

/** The MLflow release whose client and server this face was held against; clients choose what they send by it. */
export const mlflowVersion = "3.17.2";

export function registerSystem(scope: FastifyInstance): void {
  scope.get("/version", { config: { policy: "open" } }, async (_request, reply) =>
    reply.type("text/plain; charset=utf-8").send(mlflowVersion),
  );
}
