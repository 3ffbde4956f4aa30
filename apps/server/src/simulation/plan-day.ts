/** How the rows of one simulated day travel. Rows are counted from 0 in the order of the traffic table. */
export interface DayPlan {
  /** Each travels as a request of its own. */
  singles: number[];
  /** First and last row of a batch lie in order of time; every batch holds at least two rows. */
  batches: number[][];
}

/** The same seed, day and number of rows always give the same plan, so that a day that was cut off is replayed as it was. */
export function planDay(seed: number, day: string, rows: number, singleShare: number, batchRows: number): DayPlan {
  const random = seededFractions(seed, day);
  const singles: number[] = [];
  const rest: number[] = [];
  for (let row = 0; row < rows; row++) (random() < singleShare ? singles : rest).push(row);
  const batches: number[][] = [];
  for (let start = 0; start < rest.length; start += batchRows) batches.push(rest.slice(start, start + batchRows));
  const last = batches.at(-1);
  // A batch of one row would be captured under another id than its rows are counted by.
  if (last?.length === 1) {
    batches.pop();
    singles.push(last[0] ?? 0);
  }
  return { singles, batches };
}

export function singleId(seed: number, day: string, row: number): string {
  return `s${seed}-${day}-${row}`;
}

export function batchId(seed: number, day: string, batch: number): string {
  return `s${seed}-${day}-b${batch}`;
}

/** The prediction id of every row, by row. */
export function predictionIds(seed: number, day: string, plan: DayPlan): string[] {
  const ids: string[] = [];
  for (const row of plan.singles) ids[row] = singleId(seed, day, row);
  for (const [batch, rows] of plan.batches.entries()) {
    for (const [index, row] of rows.entries()) ids[row] = `${batchId(seed, day, batch)}-${index}`;
  }
  return ids;
}

/** splitmix32 over a hash of the day: cheap, and another day is another sequence. */
function seededFractions(seed: number, day: string): () => number {
  let state = seed >>> 0;
  for (let index = 0; index < day.length; index++) state = Math.imul(state ^ day.charCodeAt(index), 0x01000193) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
