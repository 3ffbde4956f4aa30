import { setTimeout as pause } from "node:timers/promises";
import type { Part } from "./parts.ts";
import { residentMegabytes } from "./processes.ts";

/** A server that has just started and has nothing to do. */
export const idle: Part = async ({ target }) => {
  // Until its start-up's garbage is collected and its workers have settled.
  await pause(5_000);
  return [
    { what: "start to first answer", unit: "s", better: "less", value: target.readySeconds },
    { what: "resident memory, idle", unit: "MB", better: "less", value: residentMegabytes(target.pid) },
  ];
};
