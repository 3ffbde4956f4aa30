import { schedulerConformance } from "@espalier/conformance";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createCronScheduler } from "./cron-scheduler.ts";
import { duesBetween } from "./cron-times.ts";

afterEach(() => {
  vi.useRealTimers();
});

schedulerConformance(
  { describe, it, expect },
  {
    async open(now) {
      vi.useFakeTimers({ now });
      return {
        scheduler: createCronScheduler(),
        advance: async (seconds) => {
          await vi.advanceTimersByTimeAsync(seconds * 1000);
        },
        close: async () => {
          vi.useRealTimers();
        },
      };
    },
  },
);

it("lists instants for a backfill", () => {
  const dues = duesBetween("0 3 * * 1", "Europe/Madrid", new Date("2001-03-01"), new Date("2001-04-10"), 4);
  expect(dues.map((due) => due.toISOString())).toEqual([
    "2001-03-05T02:00:00.000Z",
    "2001-03-12T02:00:00.000Z",
    "2001-03-19T02:00:00.000Z",
    "2001-03-26T01:00:00.000Z",
  ]);
});
