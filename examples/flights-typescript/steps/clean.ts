import { readFile } from "node:fs/promises";
import { defineStep } from "@espalier/core";
import { writeRows } from "./csv.ts";

interface Flight {
  date: string;
  delay: number;
  distance: number;
  origin: string;
  destination: string;
}

/** Validates: flights that can not be true are left out and counted by reason; more than one in a hundred fails the step. */
export const clean = defineStep(
  import.meta.url,
  {
    inputs: { flights: "file" },
    outputs: { flights: { type: "file", determinism: "exact" }, report: { type: "value", determinism: "exact" } },
  },
  async ({ inputs, outputs, emit }) => {
    const flights: unknown = JSON.parse(await readFile(inputs.flights, "utf8"));
    if (!Array.isArray(flights)) throw new Error("the file is not a JSON list of flights");
    const reasons: Record<string, number> = {};
    const kept: Flight[] = [];
    for (const flight of flights) {
      const fault = faultOf(flight);
      if (fault === undefined) kept.push(flight);
      else reasons[fault] = (reasons[fault] ?? 0) + 1;
    }
    const removed = flights.length - kept.length;
    emit({ type: "metric", key: "rows", value: kept.length });
    emit({ type: "metric", key: "rows.removed", value: removed });
    if (removed > flights.length / 100) {
      throw new Error(`${removed} of ${flights.length} flights can not be true: ${JSON.stringify(reasons)}`);
    }
    // Equal times keep the order of the file, so that the result is one and the same on every run.
    kept.sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0));
    const rows = kept.map(({ date, ...flight }) => ({
      day: date.slice(0, 10).replaceAll("/", "-"),
      hour: Number(date.slice(11, 13)),
      ...flight,
    }));
    await writeRows(outputs.flights, ["day", "hour", "delay", "distance", "origin", "destination"], rows);
    return { report: { rows: kept.length, removed, reasons } };
  },
);

function faultOf(flight: Partial<Flight>): string | undefined {
  const { date, delay, distance, origin, destination } = flight;
  if (typeof date !== "string" || !/^\d{4}\/\d\d\/\d\d \d\d:\d\d$/.test(date)) return "no date";
  if (typeof delay !== "number" || delay < -60 || delay > 1440) return "an hour early or a day late";
  if (typeof distance !== "number" || distance < 1 || distance > 5500) return "no such distance";
  if (!/^[A-Z]{3}$/.test(origin ?? "") || !/^[A-Z]{3}$/.test(destination ?? "")) return "no airport";
  return origin === destination ? "ends where it began" : undefined;
}
