import type { Server } from "node:net";
import { EspalierError, isEspalierError } from "@espalier/core";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { ProjectRecord } from "./db/record.ts";
import { isLoopback } from "./http/allowed-hosts.ts";
import { type Address, alsoListen, listen } from "./listen.ts";
import { readKnownPorts, writeKnownPorts } from "./owner/known-ports.ts";

export interface Wanted {
  host: string;
  /** undefined or 0: that of steps which still run, else any free one. */
  port: number | undefined;
  /** true: it is this port or none. false: when it is taken, any other will do. */
  insist: boolean;
}

export interface Listening {
  url: string;
  /** Stops answering at the ports of earlier owners. */
  close(): void;
}

/**
 * Listens, also at the ports at which steps that outlived an earlier owner look for the control plane: what they log through MLflow goes on
 * arriving after a restart, whichever command took over.
 */
export async function listenWhereKnown(
  app: FastifyInstance,
  { host, port, insist }: Wanted,
  { record, stateFolder, logger }: { record: Pick<ProjectRecord, "runs">; stateFolder: string; logger: Logger },
): Promise<Listening> {
  const known = (await someRunIsUnderWay(record)) ? await readKnownPorts(stateFolder) : [];
  const first = port || known[0] || 0;
  const url = await listenOrElsewhere(app, { host, port: first }, insist && port !== undefined, logger);
  const taken = Number(new URL(url).port);
  const local = isLoopback(host) ? host : "127.0.0.1";
  const servers: Server[] = [];
  for (const other of known) {
    if (other === taken || (other === first && local === host)) continue;
    try {
      servers.push(await alsoListen(app, { host: local, port: other }));
    } catch (error) {
      warnOfLost(logger, other, error);
    }
  }
  // Before the first step can know this address.
  await writeKnownPorts(stateFolder, [taken, ...known]);
  return {
    url,
    close: () => {
      for (const server of servers) server.close();
    },
  };
}

async function listenOrElsewhere(
  app: FastifyInstance,
  address: Address,
  insist: boolean,
  logger: Logger,
): Promise<string> {
  if (insist || address.port === 0) return listen(app, address);
  try {
    return await listen(app, address);
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "PORT_IN_USE") throw error;
    warnOfLost(logger, address.port, error);
    return listen(app, { ...address, port: 0 });
  }
}

function warnOfLost(logger: Logger, port: number, error: unknown): void {
  const code = error instanceof EspalierError ? error.code : "INTERNAL";
  logger.warn({ port, code }, "steps may look for the control plane at this port, and it is not to be had");
}

async function someRunIsUnderWay({ runs }: Pick<ProjectRecord, "runs">): Promise<boolean> {
  const pages = await Promise.all((["queued", "running"] as const).map((state) => runs.list({ state }, { limit: 1 })));
  return pages.some(({ items }) => items.length > 0);
}
