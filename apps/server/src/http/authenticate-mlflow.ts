import { EspalierError } from "@espalier/core";
import type { FastifyRequest } from "fastify";
import { isLoopback } from "./allowed-hosts.ts";
import type { Principal, VerifyToken } from "./principal.ts";

/**
 * As MLflow's clients sign in: a bearer token, or basic credentials whose password is a token (the user's name is not looked at). Without
 * any, a process of this machine is let in, unless a proxy speaks for somebody else.
 */
export async function authenticateMlflow(
  request: FastifyRequest,
  verifyToken: VerifyToken,
  loopbackWithoutToken: boolean,
): Promise<Principal> {
  const { authorization } = request.headers;
  if (authorization === undefined) {
    if (loopbackWithoutToken && isOfThisMachine(request)) return { actor: "loopback", grant: { kind: "loopback" } };
    throw unauthenticated("The request carries no credentials");
  }
  const token = tokenIn(authorization);
  const principal = token === undefined ? undefined : await verifyToken(token, request.socket.remoteAddress);
  if (principal === undefined) throw unauthenticated("The credentials are unknown, revoked or expired");
  return principal;
}

const proxied = [
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-forwarded-server",
  "x-forwarded-prefix",
  "x-real-ip",
  "x-client-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "x-envoy-external-address",
] as const;

function isOfThisMachine(request: FastifyRequest): boolean {
  if (proxied.some((header) => request.headers[header] !== undefined)) return false;
  const { remoteAddress, localAddress } = request.socket;
  return [remoteAddress, localAddress].every(
    (address) => address !== undefined && isLoopback(address.replace(/^::ffff:/, "")),
  );
}

function tokenIn(authorization: string): string | undefined {
  const [scheme, value] = authorization.trim().split(/ +/);
  if (value === undefined) return undefined;
  if (scheme?.toLowerCase() === "bearer") return value;
  if (scheme?.toLowerCase() !== "basic") return undefined;
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? undefined : text.slice(colon + 1);
}

function unauthenticated(message: string): EspalierError {
  return new EspalierError("UNAUTHENTICATED", message, {
    hint: "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and a token as MLFLOW_TRACKING_PASSWORD; `espalier token create` makes one.",
  });
}
