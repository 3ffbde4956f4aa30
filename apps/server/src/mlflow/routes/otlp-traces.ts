import type { FastifyInstance } from "fastify";
import type { ControlPlane } from "../../control-plane.ts";

/** Spans as OpenTelemetry's exporter sends them. */
export function registerOtlpTraces(_scope: FastifyInstance, _plane: ControlPlane): void {
  // Nothing is served here yet.
}
