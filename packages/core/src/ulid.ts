import { randomFillSync } from "node:crypto";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** Drawn in bulk, since a model server mints an id at every request. */
const randomness = Buffer.alloc(4096);
let used = randomness.length;

/** A ULID (ulid.github.io/spec): 48 bits of milliseconds and 80 random bits in Crockford's base 32, so that ids sort by time. */
export function ulid(milliseconds = Date.now()): string {
  let time = milliseconds;
  let head = "";
  for (let index = 0; index < 10; index += 1) {
    head = alphabet[time % 32] + head;
    time = Math.floor(time / 32);
  }
  if (used + 16 > randomness.length) {
    randomFillSync(randomness);
    used = 0;
  }
  let tail = "";
  for (let index = 0; index < 16; index += 1) tail += alphabet[(randomness[used++] ?? 0) & 31];
  return head + tail;
}
