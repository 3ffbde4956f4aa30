import type { Server } from "node:http";
import { Server as NetServer, type Socket } from "node:net";

const lookMilliseconds = 50;

const connectionsOf = new WeakMap<Server, Set<Socket>>();

/**
 * To be called before the server listens. Node takes a connection on which nothing has come yet for a busy one, and would keep the server
 * open for it for a minute: clients open some in advance.
 */
export function watchConnections(server: Server): void {
  const connections = new Set<Socket>();
  connectionsOf.set(server, connections);
  server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
}

function closeIdle(server: Server): void {
  server.closeIdleConnections();
  for (const socket of connectionsOf.get(server) ?? []) if (socket.bytesRead === 0) socket.destroy();
}

/**
 * Takes no more connections, and leaves those that are there alone: `http.Server.close` would cut idle ones, into which callers may be
 * sending at that moment. Another process that holds the same listening socket goes on with what waits in it. Resolves when all are gone.
 */
export function stopListening(server: Server): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => NetServer.prototype.close.call(server, () => resolve()));
}

/** Lets idle connections be for so long, in which their next request can be answered with `connection: close`; then closes them. */
export async function closeGently(server: Server, gone: Promise<void>, idleSeconds: number): Promise<void> {
  const patience = setTimeout(() => {
    closeIdle(server);
    timer = setInterval(() => closeIdle(server), lookMilliseconds);
  }, idleSeconds * 1000);
  let timer: NodeJS.Timeout | undefined;
  await gone;
  clearTimeout(patience);
  clearInterval(timer);
}
