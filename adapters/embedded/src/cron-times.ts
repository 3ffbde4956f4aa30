import { EspalierError } from "@espalier/core";
import { Cron } from "croner";

/** The instants of a five-field cron expression, in a time zone (IANA name). INVALID_INPUT. */
export function cronTimes(cron: string, timezone: string): { nextAfter(instant: Date): Date | undefined } {
  try {
    const times = new Cron(cron, { timezone, mode: "5-part", paused: true });
    // An unknown time zone is only noticed when an instant is asked for.
    times.nextRun();
    return { nextAfter: (instant) => times.nextRun(instant) ?? undefined };
  } catch (cause) {
    throw new EspalierError(
      "INVALID_INPUT",
      `\`${cron}\` in ${timezone} is not a schedule: ${cause instanceof Error ? cause.message : cause}`,
      {
        cause,
        hint: "Write five fields (minute, hour, day of month, month, day of week) and an IANA time zone: `0 3 * * 1`, Europe/Madrid.",
      },
    );
  }
}

/** The first instant after this one; undefined when there is none. INVALID_INPUT. */
export function nextDue(cron: string, timezone: string, after: Date): Date | undefined {
  return cronTimes(cron, timezone).nextAfter(after);
}

/** Instants after `from`, up to and including `to`, at most `limit` of them. INVALID_INPUT. */
export function duesBetween(cron: string, timezone: string, from: Date, to: Date, limit: number): Date[] {
  const times = cronTimes(cron, timezone);
  const dues: Date[] = [];
  for (
    let due = times.nextAfter(from);
    due !== undefined && due <= to && dues.length < limit;
    due = times.nextAfter(due)
  ) {
    dues.push(due);
  }
  return dues;
}
