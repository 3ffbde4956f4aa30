import { once } from "node:events";
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { announce } from "../announce.ts";
import type { ServingArguments } from "../arguments.ts";
import { listen } from "../http/listen.ts";
import { openTracing } from "../tracing/tracing.ts";
import { createRouter, type Router } from "./router.ts";
import { spawnSuccessor } from "./successor.ts";

interface RouterService {
  drain(): void;
  replaced: Promise<void>;
  close(): Promise<void>;
}

/** A state whose versions are not ready must not keep the router from saying so. */
const inForceMilliseconds = 5_000;
/** In which callers' open connections have their next request answered, and are told to make a new one. */
const idleSeconds = 5;

/**
 * The router as a process. SIGUSR2: another process is born with the listening socket and takes over; this one answers what it has and
 * ends. No connection is refused or cut meanwhile, since both take from one queue of connections.
 */
export async function startRouter(
  given: Extract<ServingArguments, { kind: "router" }>,
  log: (message: string) => void,
): Promise<RouterService> {
  const tracing = await openTracing("espalier-router", process.env);
  const router = createRouter({ stateFile: given.state, bodyLimitBytes: given.bodyLimitBytes, tracing });
  await router.open();
  await inForce(router);
  const port = await listenAs(router, given);
  const { pid } = process;
  announce(given.announce, { pid, port });
  log(`router on ${given.host}:${port}`);
  const replaced = Promise.withResolvers<void>();
  let isReplaced = false;
  let handingOver = false;
  process.on("SIGUSR2", () => {
    if (handingOver) return;
    handingOver = true;
    spawnSuccessor(router.server, given.announce)
      .then((successor) => {
        log(`process ${successor} has taken over`);
        isReplaced = true;
        replaced.resolve();
      })
      .catch((error: unknown) => {
        // Whoever asked sees that nobody announced itself; this process goes on.
        log(`no successor: ${error instanceof Error ? error.message : error}`);
        handingOver = false;
      });
  });
  return {
    replaced: replaced.promise,
    drain() {
      router.drain();
      // An endpoint that is deleted has no state any more, and needs no successor.
      if (!existsSync(given.state)) replaced.resolve();
      else if (!isReplaced) announce(given.announce, { pid, port, leaving: true });
    },
    async close() {
      await router.close(isReplaced ? idleSeconds : 0);
      await tracing?.close();
    },
  };
}

async function inForce(router: Router): Promise<void> {
  const deadline = performance.now() + inForceMilliseconds;
  while (!router.status().ready && performance.now() < deadline) await delay(10);
}

async function listenAs(
  { server }: Router,
  { host, port, listenDescriptor }: Extract<ServingArguments, { kind: "router" }>,
): Promise<number> {
  if (listenDescriptor === undefined) return listen(server, host, port);
  server.listen({ fd: listenDescriptor });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
