export const dayMilliseconds = 86_400_000;

/** ms since the epoch; the start is inside, the end is not. */
export interface TimeWindow {
  start: number;
  end: number;
}

export function dayOf(instant: number): string {
  return new Date(instant).toISOString().slice(0, 10);
}

/** Midnight (UTC) of the instant's day. */
export function startOfDay(instant: number): number {
  return Math.floor(instant / dayMilliseconds) * dayMilliseconds;
}

/**
 * Whole windows side by side from the anchor that end after `judgedUntil` and not after `knownUntil`, oldest first. Windows of seven
 * days each hold every weekday once, so that they compare with each other.
 */
export function dueWindows(
  anchor: number,
  length: number,
  judgedUntil: number | undefined,
  knownUntil: number,
): TimeWindow[] {
  const first = judgedUntil === undefined ? 1 : Math.floor((judgedUntil - anchor) / length) + 1;
  const last = Math.floor((knownUntil - anchor) / length);
  const windows: TimeWindow[] = [];
  for (let index = Math.max(1, first); index <= last; index++) {
    windows.push({ start: anchor + (index - 1) * length, end: anchor + index * length });
  }
  return windows;
}
