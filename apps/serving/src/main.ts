import { setTimeout as delay } from "node:timers/promises";
import { toEspalierError } from "@espalier/core";
import { announce } from "./announce.ts";
import { parseServingArguments, type ServingArguments, usage } from "./arguments.ts";
import { closingSeconds } from "./closing-seconds.ts";

interface Service {
  drain(): void;
  /** Another process has taken the place of this one: no need to wait for load balancers. */
  replaced?: Promise<void>;
  close(): Promise<void>;
}

/** Each program is loaded alone: the start of a model server is timed, and none needs the libraries of the others. */
async function start(given: ServingArguments): Promise<Service> {
  if (given.kind === "router") return (await import("./router/router-program.ts")).startRouter(given, log);
  if (given.kind === "program") return (await import("./program/run-program.ts")).runProgram(given, log);
  return (await import("./model-program.ts")).startModelServer(given, log);
}

function log(message: string): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), level: "info", pid: process.pid, message }));
}

async function stop(service: Service | undefined, signal: string, drainSeconds: number): Promise<never> {
  log(`${signal}: draining`);
  const began = performance.now();
  service?.drain();
  const drained = [delay(drainSeconds * 1000, false), service?.replaced?.then(() => true)];
  const isReplaced = await Promise.race(drained.filter((wait) => wait !== undefined));
  const seconds = closingSeconds((performance.now() - began) / 1000, isReplaced);
  const outcome = await Promise.race([service?.close(), delay(seconds * 1000, "late" as const, { ref: false })]);
  log(outcome === "late" ? `requests were still open after ${Math.round(seconds)} s more` : "stopped");
  process.exit(outcome === "late" ? 1 : 0);
}

async function main(): Promise<void> {
  if (process.argv.slice(2).some((word) => word === "--help" || word === "-h")) return console.log(usage);
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
        // Ctrl-C is meant at once; SIGTERM leaves load balancers, and another router, time to notice.
        void stop(service, signal, signal === "SIGINT" ? 0 : given.drainSeconds);
      });
    }
    service = await start(given);
    void service.replaced?.then(() => {
      if (stopping) return;
      stopping = true;
      void stop(service, "another process has taken over", 0);
    });
  } catch (thrown) {
    const error = toEspalierError(thrown);
    const { code, message, at, hint } = error.toJSON();
    announce(announceFile, { pid: process.pid, error: error.toJSON() });
    console.error([`${code}: ${message}`, at === undefined ? "" : `  at ${at}`, hint ?? ""].filter(Boolean).join("\n"));
    process.exit(error.exitCode);
  }
}

await main();
