import { EspalierError, type JsonObject } from "@espalier/core";
import type { DuckDb } from "../duckdb-client.ts";
import type { Checkpoint, UnitOutcome } from "./checkpoint.ts";
import { type BadRow, featureBatches } from "./feature-batches.ts";
import type { FeedLayout } from "./feed-layout.ts";
import type { OutputColumn } from "./output-columns.ts";
import { type PartShape, writePart } from "./part-writer.ts";
import { contentHash, type ScoredFile } from "./scored-files.ts";
import type { Scorer } from "./scoring-pool.ts";
import type { SourceColumn } from "./source-column.ts";
import { UnitScores } from "./unit-scores.ts";
import type { Unit } from "./units.ts";

export interface ScoringWork {
  reader: DuckDb;
  /** On one thread, so that bytes repeat. */
  writer: DuckDb;
  pool: Scorer;
  checkpoint: Checkpoint;
  layout: readonly FeedLayout[];
  outputs: readonly OutputColumn[];
  shape: PartShape;
  batchRows: number;
  skipsBadRows: boolean;
  signal: AbortSignal;
  onProgress(rows: number): void;
}

/**
 * Predicts the units of one file that are not done yet. Reading, running and writing overlap: batches are read while threads run the model,
 * and a finished unit is written while the next one is predicted; of all that at most two units of scores are in memory.
 */
export async function scoreFile(
  work: ScoringWork,
  file: ScoredFile,
  columns: readonly SourceColumn[],
  units: readonly Unit[],
): Promise<void> {
  const hash = work.shape.predictionId === "content" ? contentHash(file.original) : Promise.resolve("");
  let writing: Promise<void> = Promise.resolve();
  // Both are awaited below; a failure before that must not end the process.
  hash.catch(() => undefined);
  let scores: UnitScores | undefined;
  const close = async (): Promise<void> => {
    if (scores === undefined) return;
    const finished = scores;
    scores = undefined;
    await writing;
    writing = finishUnit(work, file, finished, hash);
    writing.catch(() => undefined);
  };
  const query = { path: file.path, layout: work.layout, columns, units, batchRows: work.batchRows };
  try {
    for await (const batch of featureBatches(work.reader, query, file.isConverted)) {
      work.signal.throwIfAborted();
      if (scores !== undefined && scores.unit !== batch.unit) await close();
      const [first] = batch.bad;
      if (first !== undefined && !work.skipsBadRows) throw badRow(file, first);
      scores ??= new UnitScores(batch.unit, work.outputs);
      const { reply } = await work.pool.submit(batch, !work.skipsBadRows);
      scores.expect(batch, reply);
      work.onProgress(batch.rows);
    }
    await close();
  } finally {
    // A unit on its way is finished even when a later one fails: the next attempt need not do it again.
    await writing;
  }
  for (const unit of units.filter(({ from, to }) => from === to)) {
    scores = new UnitScores(unit, work.outputs);
    await close();
    await writing;
  }
}

async function finishUnit(
  { writer, checkpoint, shape, skipsBadRows }: ScoringWork,
  file: ScoredFile,
  scores: UnitScores,
  hash: Promise<string>,
): Promise<void> {
  const bad = await scores.settle();
  const [first] = bad;
  if (first !== undefined && !skipsBadRows) throw badRow(file, first);
  if (bad.length === scores.rows && bad.length > 0 && !scores.hasValues) {
    throw new EspalierError(
      "INVALID_DATA",
      `The model fails on every row of ${file.name} from row ${scores.unit.from + 1} to ${scores.unit.to}`,
      { at: `inputs.data: ${file.name}`, hint: `The first: ${first?.column ?? "it"} ${first?.reason}.` },
    );
  }
  const { unit } = scores;
  await writePart(
    writer,
    checkpoint.folder,
    { unit, file, scores: scores.table(), bad, contentHash: await hash },
    shape,
  );
  const rejectedBy: Record<string, number> = {};
  for (const { column = "" } of bad) rejectedBy[column] = (rejectedBy[column] ?? 0) + 1;
  const outcome: UnitOutcome = { rows: scores.rows, rejected: bad.length, rejectedBy, notFinite: scores.notFinite() };
  await checkpoint.finish(unit, outcome);
}

function badRow(file: ScoredFile, { row, column, reason }: BadRow): EspalierError {
  const what = column === undefined ? reason : `\`${column}\` ${reason}`;
  const details: JsonObject = { file: file.name, row: row + 1, ...(column === undefined ? {} : { column }) };
  return new EspalierError("INVALID_DATA", `Row ${row + 1} of ${file.name}: ${what}`, {
    at: `inputs.data: ${file.name}`,
    hint: "Mend the data, or set such rows aside: `on_bad_row: skip` of a step, `espalier predict --skip-bad-rows`.",
    details,
  });
}
