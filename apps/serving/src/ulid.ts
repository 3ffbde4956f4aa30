import { randomFillSync } from "node:crypto";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const pool = Buffer.alloc(4096);
let used = pool.length;

/** A ULID: 10 characters of milliseconds, 16 of randomness; sorts by time. Randomness is drawn in bulk, for it is asked at every request. */
export function ulid(now = Date.now()): string {
  let time = now;
  let head = "";
  for (let index = 0; index < 10; index++) {
    head = alphabet[time % 32] + head;
    time = Math.floor(time / 32);
  }
  if (used + 16 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let tail = "";
  for (let index = 0; index < 16; index++) tail += alphabet[(pool[used++] as number) & 31];
  return head + tail;
}
