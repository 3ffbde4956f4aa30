/** What SIGTERM leaves in all, draining included, before the process ends anyway; platforms kill after 30 s. */
const shutdownSeconds = 25;
/** However long a server was told to drain, requests that came in its last moment get so long. */
const leastSeconds = 10;
/** Nobody waits for a process whose place is taken, so its requests get what an endpoint's limits allow at most. */
const replacedSeconds = 3600;

/** Seconds that requests in flight have to end, once the server has drained for so long. */
export function closingSeconds(drainedSeconds: number, isReplaced: boolean): number {
  return isReplaced ? replacedSeconds : Math.max(leastSeconds, shutdownSeconds - drainedSeconds);
}
