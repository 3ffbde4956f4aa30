import { createCipheriv, createDecipheriv, randomBytes, timingSafeEqual } from "node:crypto";
import { EspalierError } from "@espalier/core";
import type { Principal, VerifyToken } from "../http/principal.ts";

/** Of a browser: a cookie that holds, sealed, what it signed in with. Nothing of it is kept here, so that it survives a restart. */
export interface Sessions {
  /** A link's code, good once and for `linkMinutes`. */
  mintCode(): string;
  /** The cookie's value for a code or a token. UNAUTHENTICATED, RATE_LIMITED. */
  signIn(
    given: { code: string } | { token: string },
    address: string | undefined,
  ): Promise<{ cookie: string; principal: Principal }>;
  /** Whom a cookie stands for now: a token that was revoked meanwhile stands for nobody. */
  verify(cookie: string, address: string | undefined): Promise<Principal | undefined>;
}

export const sessionCookie = "espalier_session";
export const sessionSeconds = 12 * 3600;
export const linkMinutes = 15;
const mostCodes = 100;

const owner: Principal = { actor: "owner", grant: { kind: "role", role: "admin" } };

interface Sealed {
  /** Absent: the owner of this machine, who came by a link. */
  token?: string;
  /** Seconds since the epoch. */
  until: number;
}

/** `key`: 32 bytes of the project, the same after a restart. */
export function createSessions(key: Uint8Array, verifyToken: VerifyToken, now: () => number = Date.now): Sessions {
  const codes = new Map<string, number>();

  function seal(content: Sealed): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    const sealed = Buffer.concat([cipher.update(JSON.stringify(content)), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64url");
  }

  function unseal(cookie: string): Sealed | undefined {
    const bytes = Buffer.from(cookie, "base64url");
    if (bytes.length < 28) return undefined;
    try {
      const cipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12), { authTagLength: 16 });
      cipher.setAuthTag(bytes.subarray(12, 28));
      return JSON.parse(Buffer.concat([cipher.update(bytes.subarray(28)), cipher.final()]).toString()) as Sealed;
    } catch {
      // Forged, cut, or sealed by another project: it stands for nobody.
      return undefined;
    }
  }

  function redeem(code: string): boolean {
    const given = Buffer.from(code);
    for (const [known, until] of codes) {
      const wanted = Buffer.from(known);
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) continue;
      codes.delete(known);
      return until >= now();
    }
    return false;
  }

  return {
    mintCode() {
      for (const [code, until] of codes) if (until < now() || codes.size >= mostCodes) codes.delete(code);
      const code = randomBytes(24).toString("base64url");
      codes.set(code, now() + linkMinutes * 60_000);
      return code;
    },
    async signIn(given, address) {
      const until = Math.floor(now() / 1000) + sessionSeconds;
      if ("code" in given) {
        if (redeem(given.code)) return { cookie: seal({ until }), principal: owner };
        throw new EspalierError("UNAUTHENTICATED", "This link was used already, or is too old", {
          hint: `A link is good once, for ${linkMinutes} minutes. \`espalier up\` prints a new one; a token signs in as well.`,
        });
      }
      const principal = await verifyToken(given.token, address);
      // A step's token is no person's.
      if (principal?.grant.kind === "role") return { cookie: seal({ token: given.token, until }), principal };
      throw new EspalierError("UNAUTHENTICATED", "The token is unknown, revoked or expired", {
        hint: "`espalier token create` makes one; the owner's is in .espalier/owner.json.",
      });
    },
    async verify(cookie, address) {
      const content = unseal(cookie);
      if (content === undefined || content.until * 1000 < now()) return undefined;
      return content.token === undefined ? owner : verifyToken(content.token, address);
    },
  };
}
