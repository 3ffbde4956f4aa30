import { setTimeout as pause } from "node:timers/promises";

/** What a look finds, as soon as it finds something; throws when that takes too long. */
export async function until<Value>(
  what: string,
  look: () => Promise<Value | undefined>,
  seconds = 120,
): Promise<Value> {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; ) {
    const found = await look();
    if (found !== undefined) return found;
    await pause(100);
  }
  throw new Error(`Within ${seconds} s: ${what}`);
}
