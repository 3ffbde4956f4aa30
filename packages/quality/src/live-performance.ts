import {
  bootstrapInterval,
  type CodedColumn,
  groupMetric,
  type ResampledMetric,
  resamplingGroups,
  type ScoredRows,
} from "@espalier/core";

export interface WindowPerformance {
  window: string;
  rows: number;
  blocks: number;
  /** null where the metric does not exist (one class only). */
  value: number | null;
  lower: number | null;
  upper: number | null;
}

export interface LivePerformanceOptions {
  metric: ResampledMetric;
  threshold?: number;
  confidence?: number;
  resamples?: number;
  seed?: number;
}

/** A metric of served predictions by window (a week, say), with an interval that resamples blocks (days) within the window. */
export function livePerformance(
  rows: ScoredRows,
  windows: CodedColumn,
  blocks: CodedColumn | undefined,
  options: LivePerformanceOptions,
): WindowPerformance[] {
  const members: number[][] = windows.values.map(() => []);
  for (const [row, code] of windows.codes.entries()) members[code]?.push(row);
  return windows.values
    .map((window, code) => measureWindow(window, select(rows, blocks, members[code] ?? []), options))
    .sort((a, b) => (a.window < b.window ? -1 : 1));
}

interface Part {
  rows: ScoredRows;
  blocks: { count: number; codes: Int32Array } | undefined;
}

function measureWindow(window: string, { rows, blocks }: Part, options: LivePerformanceOptions): WindowPerformance {
  const { confidence = 0.95, resamples = 500, seed = 1, threshold = 0.5 } = options;
  const groups = resamplingGroups(rows.score.length, blocks, seed);
  const statistic = groupMetric(rows, groups, { metric: options.metric, threshold });
  const interval = bootstrapInterval(statistic, groups.count, { resamples, confidence, seed });
  // An interval over resamples that mostly lack a class would say more than is known.
  const known = interval.resamples >= 0.95 * resamples;
  return {
    window,
    rows: rows.score.length,
    blocks: blocks?.count ?? rows.score.length,
    value: finite(interval.value),
    lower: known ? finite(interval.lower) : null,
    upper: known ? finite(interval.upper) : null,
  };
}

function select(rows: ScoredRows, blocks: CodedColumn | undefined, members: readonly number[]): Part {
  const part: ScoredRows = {
    score: Float64Array.from(members, (row) => rows.score[row] ?? 0),
    target: Float64Array.from(members, (row) => rows.target[row] ?? 0),
  };
  if (blocks === undefined) return { rows: part, blocks: undefined };
  const renumbered = new Map<number, number>();
  const codes = Int32Array.from(members, (row) => {
    const code = blocks.codes[row] ?? 0;
    const known = renumbered.get(code) ?? renumbered.size;
    renumbered.set(code, known);
    return known;
  });
  return { rows: part, blocks: { count: renumbered.size, codes } };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
