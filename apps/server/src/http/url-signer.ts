import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { apiPrefix } from "@espalier/contract";
import { EspalierError } from "@espalier/core";

/** Signs URLs of the store's blobs, for stores that can not presign. A signature covers method, key, checksum and expiry. */
export interface UrlSigner {
  sign(key: string, method: "GET" | "PUT", options: { expiresSeconds: number; checksum?: string }): string;
  /** The query alone, for URLs of other routes. */
  query(key: string, method: "GET" | "PUT", options: { expiresSeconds: number; checksum?: string }): string;
  /** PERMISSION_DENIED: forged, or expired (details say which, so that a client asks for a new URL). */
  verify(key: string, method: "GET" | "PUT", query: { expires: number; signature: string; checksum?: string }): void;
}

/** `secret` must stay the same for as long as URLs live; one of this process by default. */
export function createUrlSigner(
  baseUrl: () => string,
  secret: Uint8Array = randomBytes(32),
  now = Date.now,
): UrlSigner {
  const signatureOf = (key: string, method: string, expires: number, checksum: string): string =>
    createHmac("sha256", secret)
      .update(JSON.stringify([method, key, expires, checksum]))
      .digest("hex");
  const signedQuery: UrlSigner["query"] = (key, method, { expiresSeconds, checksum }) => {
    const expires = Math.floor(now() / 1000) + expiresSeconds;
    const query = new URLSearchParams({ expires: String(expires) });
    if (checksum !== undefined) query.set("checksum", checksum);
    query.set("signature", signatureOf(key, method, expires, checksum ?? ""));
    return String(query);
  };
  return {
    query: signedQuery,
    sign: (key, method, options) => `${baseUrl()}${apiPrefix}/blobs/${key}?${signedQuery(key, method, options)}`,
    verify(key, method, { expires, signature, checksum }) {
      const wanted = Buffer.from(signatureOf(key, method, expires, checksum ?? ""));
      const given = Buffer.from(signature);
      if (wanted.length !== given.length || !timingSafeEqual(wanted, given)) {
        throw new EspalierError("PERMISSION_DENIED", "The URL's signature is not ours", {
          details: { expired: false },
        });
      }
      if (now() / 1000 > expires) {
        throw new EspalierError("PERMISSION_DENIED", "The URL has expired", {
          details: { expired: true },
          hint: "Ask for a new one.",
        });
      }
    },
  };
}
