import { EspalierError } from "@espalier/core";
import { Pool } from "undici";
import { type Answer, dispatch, errorCode, isBrokenConnection, type ReplicaRequest } from "./dispatch.ts";

/** One process that serves a version: its connections, kept open, and whether requests may go there. */
export interface Replica {
  readonly port: number;
  inFlight: number;
  /** Whether the last look found it ready; `message` why not. Set to false at once when a connection breaks. */
  up: boolean;
  message: string | undefined;
  /** Errors: BrokenConnection when it may be asked again, TIMEOUT, UNAVAILABLE. */
  send(request: ReplicaRequest, timeoutMilliseconds: number): Promise<Answer>;
  probe(): Promise<boolean>;
  close(): Promise<void>;
}

/** The connection was refused or broke: a prediction may be asked twice, so another replica may be asked. */
export class BrokenConnection extends Error {}

/** A server that is busy with one long run answers late; one that is stuck must not hold up `/status`. */
const probeMilliseconds = 5_000;
/** A server that computes may miss a look, and is alive all the same. */
const missedProbes = 3;
const connections = 256;

export interface ReplicaTarget {
  model: string;
  version: string;
  port: number;
  /** Absent: our own model server's, whose answer tells its version. */
  healthPath: string | undefined;
}

export function createReplica(target: ReplicaTarget): Replica {
  const { port, version, model } = target;
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections, keepAliveTimeout: 30_000, connectTimeout: 5_000 });
  let missed = 0;
  let probing: Promise<boolean> | undefined;

  function failure(cause: unknown): Error {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (isBrokenConnection(cause)) return new BrokenConnection(reason, { cause });
    const code = /TIMEOUT/.test(errorCode(cause)) ? "TIMEOUT" : "UNAVAILABLE";
    return new EspalierError(code, `Version ${version} of ${model} does not answer: ${reason}`, { cause });
  }

  async function look(): Promise<boolean> {
    const path = target.healthPath ?? "/v2/health/ready";
    const probe = { method: "GET", path, headers: {}, body: undefined } as const;
    try {
      const answer = await dispatch(pool, probe, probeMilliseconds);
      missed = 0;
      const impostor =
        answer.status === 200 && target.healthPath === undefined ? otherVersion(answer.body, version) : undefined;
      replica.up = answer.status === 200 && impostor === undefined;
      replica.message = replica.up
        ? undefined
        : impostor === undefined
          ? `its readiness answers ${answer.status}`
          : `version ${impostor} answers on its port`;
    } catch (error) {
      missed++;
      replica.message = error instanceof Error ? error.message : String(error);
      if (isBrokenConnection(error) || missed >= missedProbes) replica.up = false;
    }
    return replica.up;
  }

  const replica: Replica = {
    port,
    inFlight: 0,
    up: false,
    message: "not asked yet",
    async send(request, timeoutMilliseconds) {
      try {
        return await dispatch(pool, request, timeoutMilliseconds);
      } catch (error) {
        throw failure(error);
      }
    },
    probe() {
      probing ??= look().finally(() => {
        probing = undefined;
      });
      return probing;
    },
    close: () => pool.close(),
  };
  return replica;
}

/** The port of a server that died may be another's by now; our model servers say their version. */
function otherVersion(body: Buffer, version: string): string | undefined {
  if (body.length === 0 || body.length > 4096 || body[0] !== 0x7b) return undefined;
  try {
    const told = JSON.parse(body.toString("utf8")) as { name?: unknown; version?: unknown };
    if (typeof told.name !== "string" || typeof told.version !== "string") return undefined;
    return told.version === version ? undefined : told.version;
  } catch {
    // Not JSON, so not one of our servers: requests are for them to answer.
    return undefined;
  }
}
