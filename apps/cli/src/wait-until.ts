import { setTimeout as pause } from "node:timers/promises";
import { EspalierError } from "@espalier/core";

/** Polls a condition; TIMEOUT when it does not come true in time. */
export async function waitUntil(condition: () => Promise<boolean>, milliseconds: number): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > deadline) {
      throw new EspalierError("TIMEOUT", "The background control plane did not start in time", {
        at: ".espalier/control-plane.log",
        hint: "Read that log, or run `espalier up`.",
      });
    }
    await pause(50);
  }
}
