import { bootstrapInterval, resamplingGroups } from "./bootstrap.ts";
import { groupMetric } from "./grouped-metric.ts";
import { holmAdjust } from "./holm.ts";
import { orderByValue } from "./order.ts";
import type { GatePolicy } from "./policy.ts";
import type { CodedColumn, ScoredRows } from "./scored-rows.ts";
import { normalCdf } from "./special-functions.ts";
import type { SliceVerdict } from "./verdict.ts";

/** A slice needs its spread only, not the tails of a distribution: fewer groups and resamples do. */
const sliceGroups = 64;
const sliceResamples = 200;
const shownSlices = 60;

export interface SliceInput {
  candidate: ScoredRows;
  reference: ScoredRows;
  columns: readonly CodedColumn[];
  block: CodedColumn | undefined;
  policy: GatePolicy;
  /** +1 where a higher metric is better, -1 where a lower one is. */
  sign: 1 | -1;
  /** false: told only (there is no champion to be worse than). */
  judged: boolean;
}

/** Each slice's difference; those that are large enough are tested one-sided for being worse than allowed, corrected by Holm. */
export function judgeSlices(input: SliceInput): { slices: SliceVerdict[]; omitted: number } {
  const settings = input.policy.slices;
  if (settings === undefined) return { slices: [], omitted: 0 };
  const slices: SliceVerdict[] = [];
  const orders = { candidate: orderByValue(input.candidate.score), reference: orderByValue(input.reference.score) };
  for (const column of input.columns) {
    const candidateRows = rowsByValue(column, orders.candidate);
    const referenceRows = rowsByValue(column, orders.reference);
    for (const [code, value] of column.values.entries()) {
      const candidateOrder = candidateRows[code];
      const referenceOrder = referenceRows[code];
      if (candidateOrder === undefined || referenceOrder === undefined || candidateOrder.length === 0) continue;
      slices.push(measureSlice(input, column.column, value, candidateOrder, referenceOrder, settings));
    }
  }
  return bounded(correct(slices, 1 - input.policy.confidence));
}

function measureSlice(
  input: SliceInput,
  column: string,
  value: string,
  candidateOrder: Uint32Array,
  referenceOrder: Uint32Array,
  settings: NonNullable<GatePolicy["slices"]>,
): SliceVerdict {
  const { policy, candidate, reference, sign } = input;
  const enough = candidateOrder.length >= settings.min_count;
  const groups = resamplingGroups(
    candidate.score.length,
    input.block === undefined ? undefined : { count: input.block.values.length, codes: input.block.codes },
    policy.seed,
    enough ? sliceGroups : 1,
  );
  const options = { metric: policy.metric, threshold: policy.threshold };
  const ofCandidate = groupMetric(candidate, groups, { ...options, order: candidateOrder });
  const ofReference = groupMetric(reference, groups, { ...options, order: referenceOrder });
  const all = new Float64Array(groups.count).fill(1);
  const candidateValue = ofCandidate(all);
  const referenceValue = ofReference(all);
  const difference = sign * (candidateValue - referenceValue);
  const verdict: SliceVerdict = {
    column,
    value,
    rows: candidateOrder.length,
    candidate: finite(candidateValue),
    reference: finite(referenceValue),
    difference: finite(difference),
    outcome: enough ? (input.judged ? "kept" : "reported") : "too_few",
  };
  if (!enough || !input.judged || verdict.difference === null) return verdict;
  const { standardError } = bootstrapInterval((weights) => ofCandidate(weights) - ofReference(weights), groups.count, {
    resamples: sliceResamples,
    confidence: policy.confidence,
    seed: policy.seed,
  });
  const excess = difference + settings.max_regression;
  // Two models that agree on the slice have no spread at all.
  const pValue = standardError > 0 ? normalCdf(excess / standardError) : excess >= 0 ? 1 : 0;
  return Number.isFinite(pValue) ? { ...verdict, pValue } : { ...verdict, outcome: "reported" };
}

function correct(slices: SliceVerdict[], alpha: number): SliceVerdict[] {
  const judged = slices.filter((slice) => slice.pValue !== undefined);
  const adjusted = holmAdjust(judged.map((slice) => slice.pValue ?? 1));
  for (const [index, slice] of judged.entries()) {
    slice.adjustedPValue = adjusted[index] ?? 1;
    slice.outcome = slice.adjustedPValue <= alpha ? "worse" : "kept";
  }
  return slices;
}

/** The list is bounded: what is worse comes first, then the largest slices. */
function bounded(slices: SliceVerdict[]): { slices: SliceVerdict[]; omitted: number } {
  const rank = (slice: SliceVerdict): number => (slice.outcome === "worse" ? 1 : 0);
  const sorted = [...slices].sort((a, b) => rank(b) - rank(a) || b.rows - a.rows);
  const kept = Math.max(shownSlices, sorted.filter((slice) => slice.outcome === "worse").length);
  return { slices: sorted.slice(0, kept), omitted: Math.max(0, sorted.length - kept) };
}

/** Rows of each value, in the order given: sorted once, dealt out to all slices. */
function rowsByValue(column: CodedColumn, order: Uint32Array): Uint32Array[] {
  const counts = new Uint32Array(column.values.length);
  for (const code of column.codes) counts[code] = (counts[code] ?? 0) + 1;
  const lists = Array.from(counts, (count) => new Uint32Array(count));
  const filled = new Uint32Array(column.values.length);
  for (const row of order) {
    const code = column.codes[row] ?? 0;
    const position = filled[code] ?? 0;
    const list = lists[code];
    if (list !== undefined) list[position] = row;
    filled[code] = position + 1;
  }
  return lists;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
