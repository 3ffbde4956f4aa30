import type { Scheduler } from "@espalier/core";
import { caseRunner, codeOf, type Skips, type TestRunner } from "./suite.ts";

export interface SchedulerSubject {
  /**
   * A scheduler without entries whose time stands at `now` and is moved by `advance`, which resolves once everything due has fired.
   * A scheduler without `start` needs no `advance`.
   */
  open(now: Date): Promise<{ scheduler: Scheduler; advance?(seconds: number): Promise<void>; close(): Promise<void> }>;
  skips?: Skips;
}

/** Every scheduler passes this. */
export function schedulerConformance(runner: TestRunner, subject: SchedulerSubject): void {
  const { expect } = runner;
  const { it, finish } = caseRunner(runner, subject.skips);
  const start = new Date("2001-03-24T23:30:00Z");
  const hourly = { id: "train", cron: "0 * * * *", timezone: "UTC" };

  /** Firings, as `id due`, in their order. */
  const firings = async (
    scheduler: Scheduler,
    advance: ((seconds: number) => Promise<void>) | undefined,
    body: (fired: string[], advance: (seconds: number) => Promise<void>) => Promise<void>,
    failTimes = 0,
  ): Promise<void> => {
    if (scheduler.start === undefined || advance === undefined) return expect(scheduler.start).toBeUndefined();
    const fired: string[] = [];
    let failures = failTimes;
    const stop = scheduler.start(async (id, due) => {
      failures -= 1;
      if (failures >= 0) throw new Error("not now");
      fired.push(`${id} ${due.toISOString()}`);
    });
    try {
      await body(fired, advance);
    } finally {
      await stop();
    }
  };
  const withScheduler = (
    name: string,
    body: (scheduler: Scheduler, advance?: (seconds: number) => Promise<void>) => Promise<void>,
  ): void =>
    it(name, async () => {
      const { scheduler, advance, close } = await subject.open(start);
      try {
        await body(scheduler, advance);
      } finally {
        await close();
      }
    });

  runner.describe("scheduler conformance", () => {
    withScheduler("keeps what is put, replaces by id, deletes more than once", async (scheduler) => {
      await scheduler.upsert({ id: "b", cron: "0 3 * * 1", timezone: "Europe/Madrid" });
      await scheduler.upsert(hourly);
      await scheduler.upsert({ ...hourly, cron: "5 * * * *" });
      const entries = (await scheduler.list()).sort((a, b) => a.id.localeCompare(b.id));
      expect(entries).toEqual([
        { id: "b", cron: "0 3 * * 1", timezone: "Europe/Madrid" },
        { ...hourly, cron: "5 * * * *" },
      ]);
      await scheduler.delete("b");
      await scheduler.delete("b");
      expect((await scheduler.list()).map((entry) => entry.id)).toEqual(["train"]);
    });
    withScheduler("refuses what is no cron expression or no time zone", async (scheduler) => {
      for (const bad of [{ cron: "61 * * * *" }, { cron: "soon" }, { cron: "* * * *" }, { timezone: "Mars/Base" }]) {
        expect([bad, await codeOf(() => scheduler.upsert({ ...hourly, ...bad }))]).toEqual([bad, "INVALID_INPUT"]);
      }
      expect(await scheduler.list()).toEqual([]);
    });
    withScheduler(
      "fires each due instant once, in order, and not those before it was put",
      async (scheduler, advance) => {
        await scheduler.upsert(hourly);
        await firings(scheduler, advance, async (fired, move) => {
          await move(1799);
          expect(fired).toEqual([]);
          await move(1);
          expect(fired).toEqual(["train 2001-03-25T00:00:00.000Z"]);
          await move(7200);
          expect(fired.slice(1)).toEqual(["train 2001-03-25T01:00:00.000Z", "train 2001-03-25T02:00:00.000Z"]);
        });
      },
    );
    withScheduler("keeps to the wall clock of the time zone when summer time begins", async (scheduler, advance) => {
      await scheduler.upsert({ id: "daily", cron: "0 6 * * *", timezone: "Europe/Madrid" });
      await firings(scheduler, advance, async (fired, move) => {
        await move(12 * 3600);
        expect(fired).toEqual(["daily 2001-03-25T04:00:00.000Z"]);
      });
    });
    withScheduler("fires again what failed", async (scheduler, advance) => {
      await scheduler.upsert(hourly);
      const body = async (fired: string[], move: (seconds: number) => Promise<void>): Promise<void> => {
        await move(1800);
        expect(fired).toEqual([]);
        await move(600);
        expect(fired).toEqual(["train 2001-03-25T00:00:00.000Z"]);
      };
      await firings(scheduler, advance, body, 1);
    });
    withScheduler("stops, and forgets what is deleted", async (scheduler, advance) => {
      await scheduler.upsert(hourly);
      await firings(scheduler, advance, async (fired, move) => {
        await scheduler.delete("train");
        await move(3600);
        expect(fired).toEqual([]);
      });
    });
    finish();
  });
}
