import type { FastifyInstance } from "fastify";
import type { ControlPlane } from "../../control-plane.ts";

/** The `mlflow-artifacts` proxy: bytes by path, streamed both ways, each content stored once. */
export function registerArtifactProxy(_scope: FastifyInstance, _plane: ControlPlane): void {
  // Nothing is served here yet.
}
