import { randomBytes } from "node:crypto";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** A ULID (ulid.github.io/spec): 48 bits of milliseconds and 80 random bits in Crockford's base 32, so that ids sort by time. */
export function ulid(milliseconds = Date.now()): string {
  let value = BigInt(milliseconds);
  for (const byte of randomBytes(10)) value = (value << 8n) | BigInt(byte);
  let text = "";
  for (let index = 0; index < 26; index += 1) {
    text = alphabet[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return text;
}
