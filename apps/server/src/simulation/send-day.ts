import type { DayRows } from "./day-rows.ts";
import type { EndpointClient } from "./endpoint-client.ts";
import { batchId, type DayPlan, singleId } from "./plan-day.ts";

export interface Sent {
  rows: number;
  requests: number;
  errors: number;
}

/** Sends one day: the single rows with bounded concurrency, then the batches one after the other. */
export async function sendDay(
  client: EndpointClient,
  rows: DayRows,
  plan: DayPlan,
  options: { seed: number; day: string; concurrency: number },
): Promise<Sent> {
  const sent: Sent = { rows: 0, requests: 0, errors: 0 };
  const count = (status: number, rowCount: number): void => {
    sent.requests += 1;
    sent.rows += rowCount;
    if (status !== 200) sent.errors += 1;
  };
  const next = plan.singles.values();
  const worker = async (): Promise<void> => {
    for (const row of next) {
      const columns = rows.inputs.map((values) => [values[row]]);
      const id = singleId(options.seed, options.day, row);
      count(await client.infer({ id, eventTime: rows.times[row] ?? 0, columns, rows: 1 }), 1);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  for (const [index, members] of plan.batches.entries()) {
    const columns = rows.inputs.map((values) => members.map((row) => values[row]));
    const id = batchId(options.seed, options.day, index);
    const eventTime = rows.times[members[0] ?? 0] ?? 0;
    count(await client.infer({ id, eventTime, columns, rows: members.length }), members.length);
  }
  return sent;
}
