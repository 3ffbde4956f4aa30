import { bootstrapInterval, type Interval, resamplingGroups } from "./bootstrap.ts";
import { boundSentence, format, judgeBounds, requireKnownBounds } from "./bounds.ts";
import { groupMetric } from "./grouped-metric.ts";
import { resampledMetrics } from "./metrics.ts";
import { pointMetrics } from "./point-metrics.ts";
import type { GatePolicy } from "./policy.ts";
import type { CodedColumn, ScoredRows } from "./scored-rows.ts";
import { judgeSlices } from "./slices.ts";
import type { GateVerdict, SliceVerdict } from "./verdict.ts";

export interface GateInput {
  policy: GatePolicy;
  candidate: ScoredRows;
  /** The champion's scores on the same rows; absent where there is none yet. */
  championScore?: Float64Array | undefined;
  /** The policy's block column. */
  block?: CodedColumn | undefined;
  slices?: readonly CodedColumn[] | undefined;
}

/** Judges a candidate on rows that candidate and champion have both scored. Pure: the same input gives the same verdict. */
export function judgeCandidate(input: GateInput): GateVerdict {
  const { policy, candidate } = input;
  const { task } = resampledMetrics[policy.metric];
  const metrics = pointMetrics(candidate, task, policy.threshold);
  requireKnownBounds(policy, task);
  const bounds = judgeBounds(policy, metrics);
  const comparison = compare(input);
  const verdict: GateVerdict = {
    outcome: "passed",
    allowed: true,
    reasons: [],
    metric: policy.metric,
    margin: policy.margin,
    confidence: policy.confidence,
    rows: candidate.score.length,
    candidate: { value: metrics[policy.metric] ?? null, metrics },
    bounds,
    ...comparison.parts,
  };
  const failedBounds = bounds.filter((bound) => !bound.passed).map(boundSentence);
  const refusals = [...failedBounds, ...comparison.refusals, ...worseSlices(verdict.slices)];
  if (refusals.length > 0) return { ...verdict, outcome: "refused", allowed: false, reasons: refusals };
  if (comparison.doubts.length > 0) {
    const allowed = policy.inconclusive === "pass";
    const consequence = `The policy lets an inconclusive comparison ${allowed ? "pass" : "fail"}.`;
    return { ...verdict, outcome: "inconclusive", allowed, reasons: [...comparison.doubts, consequence] };
  }
  return { ...verdict, reasons: [...comparison.grounds, ...bounds.map(boundSentence)] };
}

/** Judges a metrics document of any script: by the policy's bounds alone, since there are no rows to resample. */
export function judgeMetrics(policy: GatePolicy, metrics: Readonly<Record<string, number>>): GateVerdict {
  const bounds = judgeBounds(policy, metrics);
  const failed = bounds.filter((bound) => !bound.passed);
  const base: Omit<GateVerdict, "outcome" | "allowed" | "reasons"> = {
    comparedWith: "nothing",
    metric: null,
    margin: policy.margin,
    confidence: policy.confidence,
    rows: 0,
    candidate: { value: null, metrics },
    slices: [],
    slicesOmitted: 0,
    bounds,
  };
  if (bounds.length === 0) {
    const reason = "A metrics document without rows is judged by `bounds`, and the policy has none.";
    return { ...base, outcome: "inconclusive", allowed: policy.inconclusive === "pass", reasons: [reason] };
  }
  const passed = failed.length === 0;
  const reasons = (passed ? bounds : failed).map(boundSentence);
  return { ...base, outcome: passed ? "passed" : "refused", allowed: passed, reasons };
}

interface Comparison {
  parts: Pick<GateVerdict, "comparedWith" | "slices" | "slicesOmitted"> &
    Partial<Pick<GateVerdict, "reference" | "difference" | "resampling">>;
  refusals: string[];
  doubts: string[];
  grounds: string[];
}

function compare(input: GateInput): Comparison {
  const { policy, candidate, championScore } = input;
  const none: Comparison["parts"] = { comparedWith: "nothing", slices: [], slicesOmitted: 0 };
  if (championScore === undefined && policy.no_champion.rule !== "baseline") {
    const { rule } = policy.no_champion;
    const sentence = `There is no champion, and the policy says \`${rule}\`.`;
    return { parts: none, refusals: rule === "refuse" ? [sentence] : [], doubts: [], grounds: [sentence] };
  }
  const { direction, task } = resampledMetrics[policy.metric];
  const sign = direction === "higher" ? 1 : -1;
  const reference: ScoredRows = {
    score: championScore ?? constantScore(candidate.target),
    target: candidate.target,
  };
  const { interval, resampling } = resample(input, reference, sign);
  const sliced = judgeSlices({
    candidate,
    reference,
    columns: input.slices ?? [],
    block: input.block,
    policy,
    sign,
    judged: championScore !== undefined,
  });
  const referenceMetrics = pointMetrics(reference, task, policy.threshold);
  return {
    parts: {
      comparedWith: championScore === undefined ? "baseline" : "champion",
      reference: { value: referenceMetrics[policy.metric] ?? null, metrics: referenceMetrics },
      ...(Number.isFinite(interval.lower) && Number.isFinite(interval.value) ? { difference: pick(interval) } : {}),
      resampling,
      slices: sliced.slices,
      slicesOmitted: sliced.omitted,
    },
    ...decide(input, interval, resampling.blocks),
  };
}

function resample(
  input: GateInput,
  reference: ScoredRows,
  sign: 1 | -1,
): { interval: Interval; resampling: NonNullable<GateVerdict["resampling"]> } {
  const { policy, candidate, block } = input;
  const blocks = block === undefined ? undefined : { count: block.values.length, codes: block.codes };
  const groups = resamplingGroups(candidate.score.length, blocks, policy.seed);
  const options = { metric: policy.metric, threshold: policy.threshold };
  const ofCandidate = groupMetric(candidate, groups, options);
  const ofReference = groupMetric(reference, groups, options);
  const interval = bootstrapInterval((weights) => sign * (ofCandidate(weights) - ofReference(weights)), groups.count, {
    resamples: policy.resamples,
    confidence: policy.confidence,
    seed: policy.seed,
  });
  return {
    interval,
    resampling: {
      unit: block === undefined ? "row" : "block",
      ...(block === undefined ? {} : { column: block.column }),
      blocks: block?.values.length ?? candidate.score.length,
      groups: groups.count,
      resamples: policy.resamples,
      seed: policy.seed,
    },
  };
}

function decide(input: GateInput, interval: Interval, blocks: number): Omit<Comparison, "parts"> {
  const { policy, candidate, championScore } = input;
  const opponent = championScore === undefined ? "the constant prediction" : "the champion";
  const needed = championScore === undefined ? policy.no_champion.by : -policy.margin;
  const doubts: string[] = [];
  if (candidate.score.length < policy.min_rows) {
    doubts.push(`There are ${candidate.score.length} rows, the policy asks for ${policy.min_rows}.`);
  }
  if (blocks < policy.min_blocks) doubts.push(`There are ${blocks} blocks, the policy asks for ${policy.min_blocks}.`);
  if (!(interval.resamples >= 0.95 * policy.resamples)) {
    doubts.push(
      `${policy.metric} does not exist in ${policy.resamples - interval.resamples} of ${policy.resamples} resamples (one class is missing).`,
    );
  }
  if (doubts.length > 0) return { refusals: [], doubts, grounds: [] };
  const shown = `${policy.metric} differs from ${opponent} by ${format(interval.value)} in the candidate's favour, interval ${format(interval.lower)} to ${format(interval.upper)} at ${policy.confidence * 100} %`;
  if (interval.lower > needed)
    return { refusals: [], doubts: [], grounds: [`${shown}; the lower end is above ${format(needed)}.`] };
  if (interval.upper < needed) {
    return { refusals: [`${shown}; even the upper end is below ${format(needed)}.`], doubts: [], grounds: [] };
  }
  return { refusals: [], doubts: [`${shown}; ${format(needed)} lies within, so the rows do not decide.`], grounds: [] };
}

function worseSlices(slices: readonly SliceVerdict[]): string[] {
  return slices
    .filter((slice) => slice.outcome === "worse")
    .map(
      (slice) =>
        `The slice ${slice.column} = ${slice.value} is worse than the champion by ${format(-(slice.difference ?? 0))} on ${slice.rows} rows (adjusted p ${format(slice.adjustedPValue ?? 0)}).`,
    );
}

/** The best prediction that knows no feature: the share of positives, or the mean. */
function constantScore(target: Float64Array): Float64Array {
  const mean = target.reduce((sum, value) => sum + value, 0) / target.length;
  return new Float64Array(target.length).fill(mean);
}

function pick({ value, lower, upper, standardError }: Interval): NonNullable<GateVerdict["difference"]> {
  return { value, lower, upper, standardError };
}
