import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";

const sweepMilliseconds = 20;
/** A client that has connected gets this long to say what it wants. */
const silentMilliseconds = 200;
const lastRequestsMilliseconds = 10_000;

/** How to close the server so that requests under way are answered, and nobody waits for connections that have none. Call before `listen`. */
export function closerOf(app: FastifyInstance): () => Promise<void> {
  const sockets = new Set<Socket>();
  app.server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return async () => {
    const since = Date.now();
    // Connections become idle while the server closes; those that never sent a byte (clients open some in advance) never count as idle.
    const sweep = setInterval(() => {
      app.server.closeIdleConnections();
      if (Date.now() - since < silentMilliseconds) return;
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    }, sweepMilliseconds);
    const force = setTimeout(() => app.server.closeAllConnections(), lastRequestsMilliseconds);
    try {
      await app.close();
    } finally {
      clearInterval(sweep);
      clearTimeout(force);
    }
  };
}
