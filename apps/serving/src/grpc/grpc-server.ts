import type { Http2Server } from "node:http2";
import type { Serving } from "../serving.ts";
import { inferenceService } from "./service.ts";
import { createGrpcTransport } from "./transport.ts";

export interface GrpcServer {
  /** The caller decides where it listens. */
  server: Http2Server;
  /** Answers what it has, then closes its connections. */
  close(): Promise<void>;
}

/** The models of a model server over gRPC, beside HTTP. */
export function createGrpcServer(serving: Serving): GrpcServer {
  return createGrpcTransport(inferenceService(serving), { messageLimitBytes: serving.bodyLimitBytes });
}
