import type { ScheduleEntry, Scheduler, ToolManifest } from "@espalier/core";
import { z } from "zod";
import { cronTimes, duesBetween } from "./cron-times.ts";

export const cronSchedulerConfigSchema = z.strictObject({});

export const cronSchedulerManifest: ToolManifest = {
  tool: "cron",
  provider: "embedded",
  component: "scheduler",
  milestone: 13,
  summary: "Fires schedules inside the control plane",
  capabilities: ["timezones"],
  skills: [],
  ownership: {
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    lockIn: 0,
    wayOut: "cron expressions",
    source: "nothing is added to run or to pay",
    asOf: "2026-11-27",
  },
  cost: { money: "none", operations: "the control plane must run when a schedule is due" },
  verified: { label: "real", against: "croner 11.0.1", live: "not applicable" },
  losses: ["Nothing fires while no control plane runs; catch-up is the trunk's."],
};

/** A machine that slept, or whose clock was set, is noticed after this time at the latest. */
const longestWaitMilliseconds = 30_000;
/** After a sleep as many instants of one schedule are fired; the trunk decides what becomes of them. */
const mostMissed = 1000;

/** `onError`: a firing that failed. It is fired again at the next look, until it succeeds: firings are idempotent on (id, due). */
export function createCronScheduler(onError: (error: unknown, id: string) => void = () => undefined): Scheduler {
  const entries = new Map<string, { entry: ScheduleEntry; firedUntil: Date }>();
  let look: (() => void) | undefined;
  return {
    async upsert(entry) {
      cronTimes(entry.cron, entry.timezone);
      const before = entries.get(entry.id);
      const same = before?.entry.cron === entry.cron && before.entry.timezone === entry.timezone;
      if (before === undefined || !same) entries.set(entry.id, { entry: { ...entry }, firedUntil: new Date() });
      look?.();
    },
    async delete(id) {
      entries.delete(id);
    },
    async list() {
      return [...entries.values()].map(({ entry }) => ({ ...entry })).sort((a, b) => (a.id < b.id ? -1 : 1));
    },
    start(fire) {
      let timer: NodeJS.Timeout | undefined;
      let stopped = false;
      let working: Promise<void> | undefined;
      const fireDue = async (): Promise<void> => {
        for (const [id, state] of entries) {
          const { cron, timezone } = state.entry;
          for (const due of duesBetween(cron, timezone, state.firedUntil, new Date(), mostMissed)) {
            if (stopped || entries.get(id) !== state) break;
            try {
              await fire(id, due);
            } catch (error) {
              onError(error, id);
              break;
            }
            state.firedUntil = due;
          }
        }
      };
      const plan = (): void => {
        clearTimeout(timer);
        if (stopped || working !== undefined) return;
        timer = setTimeout(() => {
          working = fireDue().finally(() => {
            working = undefined;
            plan();
          });
        }, waitMilliseconds());
      };
      const waitMilliseconds = (): number => {
        const now = Date.now();
        const waits = [...entries.values()].flatMap(({ entry, firedUntil }) => {
          const due = cronTimes(entry.cron, entry.timezone).nextAfter(firedUntil);
          // A due instant that has passed is one whose firing failed: it waits its turn.
          return due === undefined || due.getTime() <= now ? [] : [due.getTime() - now];
        });
        return Math.min(longestWaitMilliseconds, ...waits);
      };
      look = plan;
      plan();
      return async () => {
        stopped = true;
        look = undefined;
        clearTimeout(timer);
        await working;
      };
    },
  };
}
