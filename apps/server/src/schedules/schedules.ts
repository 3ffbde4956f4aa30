import { EspalierError, type ParameterValue, type PipelineIr, type RunRow, ulid } from "@espalier/core";
import { loadPipelines } from "@espalier/host";
import { Cron } from "croner";
import type { ControlPlane } from "../control-plane.ts";
import type { ScheduleRow } from "../db/queries/schedules.ts";
import { datedParameters } from "../monitoring/dated-parameters.ts";
import { createRun } from "../runs/create-run.ts";

/** A schedule that was away for years with catch-up must not start ten thousand runs at once. */
const mostCaughtUp = 1_000;

/** Brings the record and the scheduler in line with the project's pipelines; what no longer has a schedule loses it. */
export async function syncSchedules(plane: ControlPlane): Promise<void> {
  const { record, project, stack } = plane;
  const wanted = new Map<string, PipelineIr>();
  for (const { pipeline } of await loadPipelines(project.directory)) {
    if (pipeline?.schedule !== undefined) wanted.set(pipeline.name, pipeline);
  }
  for (const [name, pipeline] of wanted) {
    const schedule = pipeline.schedule;
    if (schedule === undefined) continue;
    const timezone = schedule.timezone ?? "UTC";
    checkCron(schedule.cron, timezone, `pipelines.${name}.schedule`);
    await record.schedules.upsert({
      id: name,
      pipeline: name,
      cron: schedule.cron,
      timezone,
      catchUp: schedule.catchUp ?? false,
      overlap: schedule.overlap ?? "skip",
      params: schedule.params ?? {},
    });
    await stack.scheduler.upsert({ id: name, cron: schedule.cron, timezone });
  }
  for (const { id } of (await record.schedules.list({ limit: 1000 })).items) {
    if (wanted.has(id)) continue;
    await record.schedules.delete(id);
    await stack.scheduler.delete(id);
  }
}

/** Makes up for what a killed process left half done, and for what fell due meanwhile where the schedule catches up. */
export async function catchUp(plane: ControlPlane, now: Date): Promise<void> {
  const { record } = plane;
  for (const firing of await record.firings.unstarted()) {
    const schedule = await record.schedules.get(firing.scheduleId);
    if (schedule !== undefined && firing.runId !== undefined)
      await startFired(plane, schedule, firing.logicalDate, firing.runId);
  }
  for (const schedule of (await record.schedules.list({ limit: 1000 })).items) {
    if (!schedule.catchUp || schedule.paused) continue;
    const from = Math.max(schedule.dueFrom, (schedule.lastDue ?? -1) + 1);
    for (const due of dueInstants(schedule, new Date(from), now)) await fire(plane, schedule.id, due);
  }
}

/** One due instant of a schedule. Firing it again changes nothing. */
export async function fire(plane: ControlPlane, id: string, due: Date): Promise<void> {
  const { record } = plane;
  const schedule = await record.schedules.get(id);
  if (schedule === undefined || schedule.paused || due.getTime() < schedule.dueFrom) return;
  const place = { scheduleId: id, logicalDate: due.getTime() };
  if (schedule.overlap !== "allow" && (await hasActiveRun(plane, schedule))) {
    const reason = "the run before has not ended";
    await record.firings.record({ ...place, kind: schedule.overlap === "queue" ? "queued" : "skipped", reason });
    return;
  }
  const firing = await record.firings.record({ ...place, kind: "fired", runId: ulid() });
  if (firing.recorded && firing.runId !== undefined) await startFired(plane, schedule, place.logicalDate, firing.runId);
}

/** A scheduled run has ended: the next queued one has its turn. */
export async function fireQueued(plane: ControlPlane, ended: RunRow): Promise<void> {
  if (ended.trigger.kind !== "schedule" || ended.trigger.id === undefined) return;
  const schedule = await plane.record.schedules.get(ended.trigger.id);
  if (schedule === undefined || schedule.paused || (await hasActiveRun(plane, schedule))) return;
  const [next] = await plane.record.firings.queued(schedule.id);
  if (next === undefined) return;
  const runId = ulid();
  await plane.record.firings.settle(schedule.id, next.logicalDate, { kind: "fired", runId });
  await startFired(plane, schedule, next.logicalDate, runId);
}

/** One run for each due instant from (inclusive) to (exclusive), also of those that were skipped; never a second for one. */
export async function backfill(
  plane: ControlPlane,
  pipeline: string,
  range: { from: Date; to: Date },
  options: { params?: Record<string, ParameterValue> | undefined; stack?: string | undefined; by: string },
): Promise<{ due: string; runId: string; created: boolean }[]> {
  const { record } = plane;
  const schedule = await record.schedules.get(pipeline);
  if (schedule === undefined) {
    throw new EspalierError("NOT_FOUND", `The pipeline ${pipeline} has no schedule`, {
      hint: "`espalier schedule list` shows those there are.",
    });
  }
  const runs: { due: string; runId: string; created: boolean }[] = [];
  for (const instant of dueInstants(schedule, range.from, new Date(range.to.getTime() - 1))) {
    const due = instant.toISOString();
    const [earlier] = (await record.runs.list({ pipeline, logicalDate: due }, { limit: 1 })).items;
    if (earlier !== undefined) {
      runs.push({ due, runId: earlier.id, created: false });
      continue;
    }
    const firing = await record.firings.record({
      scheduleId: schedule.id,
      logicalDate: instant.getTime(),
      kind: "backfill",
      runId: ulid(),
    });
    const run = await createRun(
      plane,
      {
        pipeline: schedule.pipeline,
        params: { ...datedParameters(schedule.params, instant), ...options.params },
        logicalDate: due,
        ...(firing.recorded && firing.runId !== undefined ? { id: firing.runId } : {}),
        ...(options.stack === undefined ? {} : { stack: options.stack }),
      },
      options.by,
      { kind: "backfill", by: options.by, id: schedule.id },
    );
    runs.push({ due, runId: run.id, created: true });
  }
  return runs;
}

async function startFired(plane: ControlPlane, schedule: ScheduleRow, logicalDate: number, id: string): Promise<void> {
  const by = `schedule:${schedule.id}`;
  await createRun(
    plane,
    {
      id,
      pipeline: schedule.pipeline,
      params: datedParameters(schedule.params, new Date(logicalDate)),
      logicalDate: new Date(logicalDate).toISOString(),
      ...(schedule.stack === undefined ? {} : { stack: schedule.stack }),
    },
    by,
    { kind: "schedule", by, id: schedule.id },
  );
}

async function hasActiveRun({ record }: ControlPlane, schedule: ScheduleRow): Promise<boolean> {
  for (const state of ["queued", "running"] as const) {
    const runs = await record.runs.list({ pipeline: schedule.pipeline, state, trigger: "schedule" }, { limit: 1 });
    if (runs.items.length > 0) return true;
  }
  return false;
}

/** Due instants from (inclusive) to (inclusive). */
export function dueInstants({ cron, timezone }: Pick<ScheduleRow, "cron" | "timezone">, from: Date, to: Date): Date[] {
  const pattern = new Cron(cron, { timezone, paused: true });
  const found: Date[] = [];
  // `nextRun` gives instants after its argument.
  let next = pattern.nextRun(new Date(from.getTime() - 1000));
  while (next !== null && next <= to) {
    if (next >= from) found.push(next);
    if (found.length > mostCaughtUp) {
      throw new EspalierError(
        "TOO_LARGE",
        `More than ${mostCaughtUp} instants are due between ${from.toISOString()} and ${to.toISOString()}`,
        {
          hint: "Take a shorter range.",
        },
      );
    }
    next = pattern.nextRun(next);
  }
  return found;
}

export function nextDue({ cron, timezone }: Pick<ScheduleRow, "cron" | "timezone">, after: Date): Date | undefined {
  return new Cron(cron, { timezone, paused: true }).nextRun(after) ?? undefined;
}

function checkCron(cron: string, timezone: string, at: string): void {
  try {
    new Cron(cron, { timezone, paused: true }).nextRun();
  } catch (cause) {
    throw new EspalierError("INVALID_PIPELINE", `\`${cron}\` in the time zone ${timezone} is no schedule`, {
      cause,
      at,
      hint: "Five fields: minute, hour, day of month, month, day of week, such as `0 3 * * 1`; the time zone is an IANA name.",
    });
  }
}
