import type { ScheduleInfo } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { ScheduleRow } from "../db/queries/schedules.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { backfill, catchUp, nextDue, syncSchedules } from "../schedules/schedules.ts";
import { actorOf } from "./actor.ts";

export function scheduleHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"schedules">> {
  const { record } = plane;
  return {
    "schedules.list": async ({ query }) => {
      await syncSchedules(plane);
      const page = await record.schedules.list(query);
      return { ...page, items: page.items.map(infoOf) };
    },
    "schedules.pause": async ({ params }) => {
      await requireSchedule(plane, params.pipeline);
      return infoOf(await record.schedules.pause(params.pipeline));
    },
    "schedules.resume": async ({ params }) => {
      await requireSchedule(plane, params.pipeline);
      const schedule = await record.schedules.resume(params.pipeline);
      await catchUp(plane, new Date());
      return infoOf(schedule);
    },
    "schedules.backfill": async (input) => {
      await syncSchedules(plane);
      const { from, to, params, stack } = input.body;
      const range = { from: new Date(from), to: new Date(to) };
      if (range.to <= range.from) {
        throw new EspalierError("INVALID_INPUT", "`to` is not after `from`", { at: "body.to" });
      }
      return { runs: await backfill(plane, input.params.pipeline, range, { params, stack, by: actorOf(input) }) };
    },
  };
}

async function requireSchedule(plane: ControlPlane, pipeline: string): Promise<void> {
  await syncSchedules(plane);
  if ((await plane.record.schedules.get(pipeline)) !== undefined) return;
  throw new EspalierError("NOT_FOUND", `The pipeline ${pipeline} has no schedule`, {
    hint: "`espalier schedule list` shows those there are.",
  });
}

function infoOf(row: ScheduleRow): ScheduleInfo {
  const next = row.paused ? undefined : nextDue(row, new Date());
  return {
    pipeline: row.pipeline,
    schedule: {
      cron: row.cron,
      timezone: row.timezone,
      ...(row.catchUp ? { catchUp: true } : {}),
      overlap: row.overlap,
    },
    paused: row.paused,
    ...(next === undefined ? {} : { next: next.toISOString() }),
    ...(row.lastDue === undefined ? {} : { lastDue: new Date(row.lastDue).toISOString() }),
    ...(row.lastRunId === undefined ? {} : { lastRunId: row.lastRunId }),
  };
}
