import { didYouMean } from "../../closest.ts";
import type { Fault } from "../../fault.ts";
import { type Check, fault } from "./context.ts";

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** Five fields, as every scheduler behind the port understands them. */
const fields: readonly { name: string; from: number; to: number; words?: readonly string[] }[] = [
  { name: "minute", from: 0, to: 59 },
  { name: "hour", from: 0, to: 23 },
  { name: "day of month", from: 1, to: 31 },
  { name: "month", from: 1, to: 12, words: months },
  { name: "day of week", from: 0, to: 7, words: weekdays },
];

export const schedules: Check = ({ pipeline }) => {
  const { schedule } = pipeline;
  if (schedule === undefined) return [];
  const cron = cronFault(schedule.cron);
  const faults: Fault[] = [];
  if (cron !== undefined) {
    const hint = "Write minute, hour, day of month, month, day of week: `0 3 * * 1` is Mondays at 3.";
    faults.push(fault("cron", ["schedule", "cron"], `\`${schedule.cron}\` is not a schedule: ${cron}`, hint));
  }
  if (schedule.timezone !== undefined && !isTimezone(schedule.timezone)) {
    const hint = didYouMean(schedule.timezone, Intl.supportedValuesOf("timeZone"), "time zones");
    faults.push(
      fault(
        "timezone",
        ["schedule", "timezone"],
        `\`${schedule.timezone}\` is not a time zone`,
        hint.startsWith("Did") ? hint : "Write an IANA name such as Europe/Madrid.",
      ),
    );
  }
  for (const [name, value] of Object.entries(schedule.params ?? {})) {
    const path = ["schedule", "params", name];
    const usual = pipeline.params?.[name];
    if (usual === undefined) {
      const hint = didYouMean(name, Object.keys(pipeline.params ?? {}), "parameters");
      faults.push(fault("unknown-param", path, `the pipeline has no parameter \`${name}\``, hint));
    } else if (typeof usual !== typeof value) {
      faults.push(fault("param-type", path, `the parameter \`${name}\` is a ${typeof usual}, not a ${typeof value}`));
    }
  }
  return faults;
};

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}

/** What is wrong with a cron expression, in words. */
export function cronFault(cron: string): string | undefined {
  const parts = cron.trim().split(/\s+/);
  if (parts.length !== fields.length) return `it has ${parts.length} fields instead of 5`;
  for (const [index, field] of fields.entries()) {
    for (const item of (parts[index] ?? "").split(",")) {
      const problem = itemFault(item.toLowerCase(), field);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

function itemFault(item: string, field: (typeof fields)[number]): string | undefined {
  const [, range = "", step] = /^([^/]*)(?:\/(\d+))?$/.exec(item) ?? [];
  if (range === "" || (step !== undefined && Number(step) === 0)) return `\`${item}\` is no ${field.name}`;
  if (range === "*") return undefined;
  const bounds = range.split("-").map((word) => {
    const named = field.words?.indexOf(word) ?? -1;
    if (named >= 0) return named + field.from;
    return /^\d+$/.test(word) ? Number(word) : Number.NaN;
  });
  const [low = Number.NaN, high = low] = bounds;
  const fits = bounds.length <= 2 && low >= field.from && high <= field.to && low <= high;
  return fits ? undefined : `\`${item}\` is no ${field.name} (${field.from} to ${field.to})`;
}
