import { join } from "node:path";
import { EspalierError } from "@espalier/core";
import { endpointPaths } from "./endpoint-processes.ts";
import {
  findServing,
  readJson,
  replaceServing,
  type ServingProcess,
  type StartOptions,
  startServing,
  stopServing,
  writeJson,
} from "./serving-process.ts";

export interface RouterProcess {
  find(): Promise<ServingProcess | undefined>;
  /** The router at this port (0: the one it had, or any), started or moved there. */
  at(port: number): Promise<ServingProcess>;
  /** Brings back a router that died, and puts another in the place of one that was told to stop, without refusing a connection. */
  heal(port: number): Promise<void>;
  stop(): Promise<void>;
}

/** How long a router that is told to stop from outside waits for another to take its place. */
const successorSeconds = 15;

export function routerProcess(
  host: { directory: string; servingEntry: string; startSeconds: number; stopGraceSeconds: number },
  name: string,
): RouterProcess {
  const { router: folder, state } = endpointPaths(host.directory, name);
  const { startSeconds, stopGraceSeconds } = host;

  const options = (port: number): StartOptions => ({
    folder,
    label: `The router of ${name}`,
    startSeconds,
    command: [
      ...[host.servingEntry, "router", "--state", state, "--port", String(port)],
      ...["--drain-seconds", String(successorSeconds)],
    ],
  });

  /** A port that was chosen once stays, since callers know it; unless another took it while the router was away. */
  async function start(port: number): Promise<ServingProcess> {
    if (port !== 0) return startServing(options(port));
    const portFile = join(folder, "port.json");
    const known = (await readJson(portFile)) as { port: number } | undefined;
    let router: ServingProcess;
    try {
      router = await startServing(options(known?.port ?? 0));
    } catch (error) {
      if (!(error instanceof EspalierError) || error.code !== "PORT_IN_USE") throw error;
      router = await startServing(options(0));
    }
    await writeJson(portFile, { port: router.port });
    return router;
  }

  return {
    find: () => findServing(folder),
    async at(port) {
      const running = await findServing(folder);
      if (running !== undefined && (port === 0 || running.port === port)) {
        return running.leaving ? replaceServing(options(running.port), running) : running;
      }
      await stopServing(folder, stopGraceSeconds, "SIGINT");
      return start(port);
    },
    async heal(port) {
      const running = await findServing(folder);
      if (running === undefined) await start(port);
      else if (running.leaving) await replaceServing(options(running.port), running);
    },
    stop: () => stopServing(folder, stopGraceSeconds, "SIGINT"),
  };
}
