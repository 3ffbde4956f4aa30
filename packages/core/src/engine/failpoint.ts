/**
 * Dies here when `ESPALIER_FAILPOINT` is `<name>` or `<name>:<n>` (the n-th pass): fault scenarios prove that a kill at any transition
 * loses nothing. SIGKILL, because an exit would still run handlers that a power cut does not run.
 */
let passes = 0;

export function failpoint(name: Failpoint): void {
  const wanted = process.env.ESPALIER_FAILPOINT;
  if (wanted === undefined || wanted === "") return;
  const [wantedName, count = "1"] = wanted.split(":");
  if (wantedName !== name) return;
  passes += 1;
  if (passes >= Number(count)) process.kill(process.pid, "SIGKILL");
}

/** Every place where the engine can be killed, for the scenario that walks through them. */
export const failpoints = [
  "run-claimed",
  "run-started",
  "step-started",
  "branches-created",
  "attempt-created",
  "attempt-prepared",
  "attempt-submitted-unrecorded",
  "attempt-submitted",
  "attempt-ended",
  "attempt-collecting",
  "attempt-collected-unrecorded",
  "attempt-succeeded",
  "attempt-failed",
  "record-step-done-unrecorded",
  "step-cached",
  "run-finishing",
  "run-finished",
] as const;
export type Failpoint = (typeof failpoints)[number];
