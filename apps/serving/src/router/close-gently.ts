import type { Server } from "node:http";
import { Server as NetServer } from "node:net";

const lookMilliseconds = 50;

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
    server.closeIdleConnections();
    timer = setInterval(() => server.closeIdleConnections(), lookMilliseconds);
  }, idleSeconds * 1000);
  let timer: NodeJS.Timeout | undefined;
  await gone;
  clearTimeout(patience);
  clearInterval(timer);
}
