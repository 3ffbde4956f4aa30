import { defineStep } from "@espalier/core";
import { type Row, readRows, writeRows } from "./csv.ts";

export const featureNames = ["hours_since_four", "weekend", "distance", "origin_rate", "destination_rate", "hour_rate"];

/** Rates of late flights per airport and hour, from the days before the flight's own: nothing here looks into the future. */
export const features = defineStep(
  import.meta.url,
  {
    inputs: { flights: "file" },
    outputs: { rows: { type: "file", determinism: "exact" } },
    params: { late_minutes: "number", prior_flights: "number" },
  },
  async ({ inputs, outputs, params, emit }) => {
    const rates = { origin: new Rates(), destination: new Rates(), hour: new Rates() };
    const overall = new Rates();
    const rows: Row[] = [];
    let today: { day: string; keys: { origin: string; destination: string; hour: string }; late: number }[] = [];
    const shape = {
      day: "string",
      hour: "number",
      delay: "number",
      distance: "number",
      origin: "string",
      destination: "string",
    } as const;
    for await (const flight of readRows(inputs.flights, shape)) {
      if (today[0] !== undefined && today[0].day !== flight.day) {
        for (const { keys, late } of today) {
          overall.add("", late);
          for (const kind of ["origin", "destination", "hour"] as const) rates[kind].add(keys[kind], late);
        }
        today = [];
      }
      const keys = { origin: flight.origin, destination: flight.destination, hour: String(flight.hour) };
      const late = flight.delay > params.late_minutes ? 1 : 0;
      today.push({ day: flight.day, keys, late });
      const prior = overall.rate("", 0, 0);
      // The first day has no days before it.
      if (prior === undefined) continue;
      const rateOf = (kind: keyof typeof rates): number =>
        rates[kind].rate(keys[kind], prior, params.prior_flights) ?? prior;
      rows.push({
        day: flight.day,
        hour: flight.hour,
        hours_since_four: (flight.hour + 20) % 24,
        weekend: [0, 6].includes(new Date(`${flight.day}T00:00:00Z`).getUTCDay()) ? 1 : 0,
        distance: flight.distance,
        origin_rate: rateOf("origin"),
        destination_rate: rateOf("destination"),
        hour_rate: rateOf("hour"),
        late,
      });
    }
    emit({ type: "metric", key: "rows", value: rows.length });
    await writeRows(outputs.rows, ["day", "hour", ...featureNames, "late"], rows);
  },
);

class Rates {
  readonly #counts = new Map<string, { flights: number; late: number }>();

  add(key: string, late: number): void {
    const count = this.#counts.get(key) ?? { flights: 0, late: 0 };
    this.#counts.set(key, { flights: count.flights + 1, late: count.late + late });
  }

  /** Drawn towards `prior` as if there had been `weight` more flights of that rate. */
  rate(key: string, prior: number, weight: number): number | undefined {
    const { flights, late } = this.#counts.get(key) ?? { flights: 0, late: 0 };
    return flights + weight === 0 ? undefined : (late + weight * prior) / (flights + weight);
  }
}
