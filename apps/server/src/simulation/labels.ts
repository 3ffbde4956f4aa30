import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { literal } from "@espalier/quality";
import { type TrafficDatabase, timestamp } from "../monitoring/traffic.ts";
import type { DayRows } from "./day-rows.ts";

/** Writes the labels of one day as they arrive: `<day>.parquet` with prediction_id, label, arrived_at. Atomic; writing again changes nothing. */
export async function writeLabels(
  database: TrafficDatabase,
  directory: string,
  day: string,
  ids: readonly string[],
  rows: DayRows,
  arrivedAt: number,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const text = join(directory, `${day}.tmp.csv`);
  const temporary = join(directory, `${day}.tmp`);
  const lines = ids.map((id, row) => `${id},${rows.labels[row] ?? ""}`);
  await writeFile(text, `${["prediction_id,label", ...lines].join("\n")}\n`);
  await database.run(
    `COPY (SELECT prediction_id, label, ${timestamp(arrivedAt)} AS arrived_at
       FROM read_csv(${literal(text)}, header = true, columns = {prediction_id: 'VARCHAR', label: 'DOUBLE'}))
     TO ${literal(temporary)} (FORMAT parquet, COMPRESSION zstd)`,
  );
  await rename(temporary, join(directory, `${day}.parquet`));
  await rm(text);
}
