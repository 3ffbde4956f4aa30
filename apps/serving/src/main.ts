import { setTimeout as delay } from "node:timers/promises";
import { toEspalierError } from "@espalier/core";
import { announce } from "./announce.ts";
import { parseServingArguments, type ServingArguments } from "./arguments.ts";
import { listen } from "./http/listen.ts";
import { createModelServer } from "./model-server.ts";
import { createRouter } from "./router/router.ts";

/** What SIGTERM leaves for requests in flight before the process ends anyway; platforms kill after 30 s. */
const shutdownSeconds = 25;

interface Service {
  drain(): void;
  close(): Promise<void>;
}

async function start(given: ServingArguments): Promise<Service> {
  const { pid } = process;
  if (given.kind === "router") {
    const router = createRouter({ stateFile: given.state, bodyLimitBytes: given.bodyLimitBytes });
    await router.open();
    const port = await listen(router.server, given.host, given.port);
    announce(given.announce, { pid, port });
    log(`router on ${given.host}:${port}`);
    return router;
  }
  const { captureDirectory, captureRate, ...options } = given;
  const server = createModelServer({
    ...options,
    ...(captureDirectory === undefined ? {} : { capture: { directory: captureDirectory, rate: captureRate } }),
  });
  // Listening comes first: who asks while the model loads is told 503 and not refused.
  const port = await listen(server.server, given.host, given.port);
  log(`model ${given.name} version ${given.version} loads, on ${given.host}:${port}`);
  await server.load();
  announce(given.announce, { pid, port });
  log(`model ${given.name} version ${given.version} ready`);
  return server;
}

function log(message: string): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), level: "info", pid: process.pid, message }));
}

async function stop(service: Service | undefined, signal: string, drainSeconds: number): Promise<never> {
  log(`${signal}: draining`);
  const deadline = delay(shutdownSeconds * 1000, "late" as const, { ref: false });
  service?.drain();
  await delay(drainSeconds * 1000);
  const outcome = await Promise.race([service?.close(), deadline]);
  log(outcome === "late" ? `requests were still open after ${shutdownSeconds} s` : "stopped");
  process.exit(outcome === "late" ? 1 : 0);
}

async function main(): Promise<void> {
  let announceFile: string | undefined;
  try {
    const given = parseServingArguments(process.argv.slice(2), process.env);
    announceFile = given.announce;
    let service: Service | undefined;
    let stopping = false;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        if (stopping) return;
        stopping = true;
        void stop(service, signal, given.drainSeconds);
      });
    }
    service = await start(given);
  } catch (thrown) {
    const error = toEspalierError(thrown);
    const { code, message, at, hint } = error.toJSON();
    announce(announceFile, { pid: process.pid, error: error.toJSON() });
    console.error([`${code}: ${message}`, at === undefined ? "" : `  at ${at}`, hint ?? ""].filter(Boolean).join("\n"));
    process.exit(error.exitCode);
  }
}

await main();
