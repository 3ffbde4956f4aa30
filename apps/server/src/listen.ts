import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { EspalierError } from "@espalier/core";
import type { FastifyInstance } from "fastify";
import { isLoopback } from "./http/allowed-hosts.ts";

export interface Address {
  host: string;
  /** 0: any free one. */
  port: number;
}

/** Starts to listen; the URL for clients on this machine. Errors: PORT_IN_USE, PERMISSION_DENIED, INVALID_INPUT (the address). */
export async function listen(app: FastifyInstance, { host, port }: Address): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw listenError(cause, host, port);
  }
  const address = app.server.address();
  if (address === null || typeof address === "string") throw new EspalierError("INTERNAL", "The server has no address");
  const everywhere = address.address === "0.0.0.0" || address.address === "::";
  const local = isLoopback(host) || !everywhere ? host : address.family === "IPv6" ? "::1" : "127.0.0.1";
  return `http://${local.includes(":") ? `[${local}]` : local}:${address.port}`;
}

/** Answers at a further port of this machine too. Errors: PORT_IN_USE, PERMISSION_DENIED. The caller closes it before the app. */
export async function alsoListen(app: FastifyInstance, { host, port }: Address): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    app.server.emit("connection", socket),
  );
  server.listen({ host, port });
  try {
    await once(server, "listening");
  } catch (cause) {
    throw listenError(cause, host, port);
  }
  return server;
}

function listenError(cause: unknown, host: string, port: number): EspalierError {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "EADDRINUSE") {
    return new EspalierError("PORT_IN_USE", `Another program listens on ${host}:${port}`, {
      cause,
      hint: "Choose another port with `--port`, or 0 for any that is free.",
    });
  }
  if (code === "EACCES") {
    return new EspalierError("PERMISSION_DENIED", `This user may not listen on ${host}:${port}`, {
      cause,
      hint: "Ports below 1024 belong to root; choose a higher one.",
    });
  }
  return new EspalierError("INVALID_INPUT", `${host} is no address of this machine`, {
    cause,
    hint: "127.0.0.1 is the usual one.",
  });
}
