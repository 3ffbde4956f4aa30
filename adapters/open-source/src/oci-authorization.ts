import { EspalierError } from "@espalier/core";
import { z } from "zod";
import type { RegistryCredentials } from "./oci-credentials.ts";
import { fromRegistryAnswer, fromRegistryFetch } from "./oci-errors.ts";

/** What a registry asks for when it answers 401. */
export type Challenge =
  | { scheme: "basic" }
  | { scheme: "bearer"; realm: string; service: string | undefined; scope: string | undefined };

/** Of a `WWW-Authenticate` header (RFC 9110); undefined: nothing that is known here. Bearer is preferred. */
export function parseChallenge(header: string | null): Challenge | undefined {
  const bearer = /(?:^|,\s*)bearer\s+(.*)$/i.exec(header ?? "");
  if (bearer?.[1] !== undefined) {
    const values = new Map<string, string>();
    for (const match of bearer[1].matchAll(/([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g)) {
      values.set((match[1] ?? "").toLowerCase(), (match[2] ?? match[3] ?? "").replace(/\\(.)/g, "$1"));
    }
    const realm = values.get("realm");
    if (realm !== undefined) {
      return { scheme: "bearer", realm, service: values.get("service"), scope: values.get("scope") };
    }
  }
  return /(?:^|,\s*)basic(?:\s|$)/i.test(header ?? "") ? { scheme: "basic" } : undefined;
}

const tokenSchema = z.looseObject({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().optional(),
});

/** Registries that say nothing mean a minute. */
const defaultTokenSeconds = 60;
const requestMilliseconds = 30_000;

export interface HeldAuthorization {
  /** Value of the `Authorization` header. */
  header: string;
  /** By this process's clock, in milliseconds; Infinity for what does not expire. */
  expiresAt: number;
}

/**
 * Answers a challenge. UNAUTHENTICATED when there are no credentials for it, or they are refused. The password goes to the realm that the
 * registry names, but never over plain HTTP unless the registry itself is spoken to so.
 */
export async function answerChallenge(
  challenge: Challenge,
  registry: string,
  scope: string,
  credentials: RegistryCredentials | undefined,
  allowPlain: boolean,
): Promise<HeldAuthorization> {
  if (challenge.scheme === "basic") {
    if (credentials === undefined || !("username" in credentials)) {
      throw fromRegistryAnswer(401, "", registry, "signing in: it asks for a user and a password, and there are none");
    }
    return { header: basic(credentials), expiresAt: Number.POSITIVE_INFINITY };
  }
  const realm = URL.canParse(challenge.realm) ? new URL(challenge.realm) : undefined;
  if (realm === undefined || !(realm.protocol === "https:" || (allowPlain && realm.protocol === "http:"))) {
    throw new EspalierError("UNSUPPORTED", `The registry ${registry} sends for tokens to a place without TLS`, {
      hint: "With --plain-http, or `plain_http: true`, that is allowed.",
    });
  }
  const response = await askForToken(realm, challenge, scope, credentials).catch((error: unknown) => {
    throw fromRegistryFetch(error, registry, `asking ${realm.host} for a token`);
  });
  const text = await response.text();
  if (!response.ok) throw fromRegistryAnswer(response.status, text, registry, `asking ${realm.host} for a token`);
  const answer = tokenSchema.safeParse(parsed(text)).data;
  const token = answer?.token ?? answer?.access_token;
  if (token === undefined) {
    throw new EspalierError("UNSUPPORTED", `${realm.host}, which gives tokens for ${registry}, gave none`);
  }
  const seconds = answer?.expires_in ?? defaultTokenSeconds;
  return { header: `Bearer ${token}`, expiresAt: Date.now() + Math.max(seconds - 10, 5) * 1000 };
}

function askForToken(
  realm: URL,
  challenge: Challenge & { scheme: "bearer" },
  scope: string,
  credentials: RegistryCredentials | undefined,
): Promise<Response> {
  const parameters = {
    scope: challenge.scope ?? scope,
    ...(challenge.service === undefined ? {} : { service: challenge.service }),
  };
  const common = { signal: AbortSignal.timeout(requestMilliseconds), redirect: "error" } as const;
  if (credentials !== undefined && "identityToken" in credentials) {
    const form = { grant_type: "refresh_token", refresh_token: credentials.identityToken, client_id: "espalier" };
    return fetch(realm, { method: "POST", body: new URLSearchParams({ ...parameters, ...form }), ...common });
  }
  for (const [name, value] of Object.entries(parameters)) realm.searchParams.append(name, value);
  return fetch(realm, {
    ...common,
    ...(credentials === undefined ? {} : { headers: { authorization: basic(credentials) } }),
  });
}

function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
