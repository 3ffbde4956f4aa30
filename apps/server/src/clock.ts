import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "@espalier/core";

export const systemClock: Clock = {
  now: () => Date.now(),
  delay: (milliseconds, signal) => delay(milliseconds, undefined, { signal }),
};
