import { array, check, double, integer, oneof, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { canaryLook, lookAlpha, spentAlpha } from "./alpha-spending.ts";
import { bootstrapInterval, resamplingGroups } from "./bootstrap.ts";
import { groupMetric } from "./grouped-metric.ts";
import { holmAdjust } from "./holm.ts";
import { judgeCandidate, judgeMetrics } from "./judge.ts";
import { auc, averagePrecision, calibrationError, calibrationTable } from "./metrics.ts";
import { orderByValue } from "./order.ts";
import { pointMetrics } from "./point-metrics.ts";
import { gatePolicySchema } from "./policy.ts";
import { seededRandom } from "./random.ts";
import type { CodedColumn, ScoredRows } from "./scored-rows.ts";
import { normalCdf, normalQuantile, upperGamma } from "./special-functions.ts";

/** Rows whose target follows the first signal; `noise` blurs the score. */
function makeRows(count: number, noise: number, seed: number): ScoredRows & { random: (bound: number) => number } {
  const random = seededRandom(seed);
  const unit = (): number => random(1_000_000) / 1_000_000;
  const target = new Float64Array(count);
  const score = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const p = unit();
    target[i] = unit() < p ? 1 : 0;
    score[i] = (1 - noise) * p + noise * unit();
  }
  return { target, score, random };
}

function coded(column: string, count: number, of: (row: number) => number, size: number): CodedColumn {
  return {
    column,
    values: Array.from({ length: size }, (_, i) => `v${i}`),
    codes: Int32Array.from({ length: count }, (_, i) => of(i)),
  };
}

const policy = (settings: object = {}) => gatePolicySchema.parse({ target: "late", resamples: 400, ...settings });

describe("special functions", () => {
  it("match published values", () => {
    expect(normalCdf(1.959963984540054)).toBeCloseTo(0.975, 14);
    expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 12);
    expect(normalQuantile(1e-9)).toBeCloseTo(-5.997807015007773, 9);
    expect(upperGamma(1, 38 / 15)).toBeCloseTo(0.07939393227707821, 12);
  });
  it("invert each other", () => {
    const outcome = check(
      property(
        double({ min: 1e-12, max: 1 - 1e-12, noNaN: true }),
        (p) => Math.abs(normalCdf(normalQuantile(p)) - p) < 1e-13,
      ),
    );
    expect(outcome.failed).toBe(false);
  });
});

describe("order", () => {
  it("is that of a stable sort", () => {
    const outcome = check(
      property(array(oneof(double({ noNaN: true }), integer({ min: -3, max: 3 }).map(Number))), (values) => {
        const expected = values.map((_, index) => index).sort((a, b) => compareNumbers(values[a] ?? 0, values[b] ?? 0));
        return JSON.stringify(expected) === JSON.stringify([...orderByValue(Float64Array.from(values))]);
      }),
      { numRuns: 300 },
    );
    expect(outcome.failed).toBe(false);
  });
});

/** Infinities have no difference. */
function compareNumbers(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

describe("metrics", () => {
  it("give the AUC of scikit-learn's example", () => {
    const rows = { target: Float64Array.of(0, 0, 1, 1), score: Float64Array.of(0.1, 0.4, 0.35, 0.8) };
    expect(auc(rows)).toBe(0.75);
    expect(averagePrecision(rows)).toBeCloseTo(0.8333333333333333, 14);
  });
  it("count ties half", () => {
    expect(auc({ target: Float64Array.of(0, 1, 0, 1), score: Float64Array.of(0.5, 0.5, 0.5, 0.5) })).toBe(0.5);
  });
  it("leave out what does not exist", () => {
    const metrics = pointMetrics({ target: Float64Array.of(0, 0), score: Float64Array.of(0.2, 0.3) }, "binary");
    expect(metrics).not.toHaveProperty("auc");
    expect(metrics.base_rate).toBe(0);
  });
  it("see miscalibration", () => {
    const rows = { target: Float64Array.of(0, 0, 0, 1), score: Float64Array.of(0.95, 0.95, 0.95, 0.95) };
    expect(calibrationError(calibrationTable(rows))).toBeCloseTo(0.7, 12);
  });
});

describe("grouped metrics", () => {
  it("equal the plain metric at weight one, and the metric of repeated rows at other weights", () => {
    const outcome = check(
      property(integer({ min: 1, max: 1_000_000 }), (seed) => {
        const rows = makeRows(60, 0.4, seed);
        // Coarse scores make ties within and across groups.
        rows.score = rows.score.map((score) => Math.round(score * 8) / 8);
        const groups = resamplingGroups(60, { count: 5, codes: Int32Array.from({ length: 60 }, (_, i) => i % 5) }, 1);
        const weights = Float64Array.from({ length: 5 }, () => rows.random(4));
        const repeated: number[] = [];
        for (let row = 0; row < 60; row++) for (let k = 0; k < (weights[row % 5] ?? 0); k++) repeated.push(row);
        const expanded = {
          score: Float64Array.from(repeated, (row) => rows.score[row] ?? 0),
          target: Float64Array.from(repeated, (row) => rows.target[row] ?? 0),
        };
        for (const metric of ["auc", "log_loss", "brier", "f1", "precision", "recall", "accuracy"] as const) {
          const expected = pointMetrics(expanded, "binary")[metric];
          const actual = groupMetric(rows, groups, { metric, threshold: 0.5 })(weights);
          if (expected !== undefined && Math.abs(actual - expected) > 1e-9) return false;
        }
        return true;
      }),
      { numRuns: 60 },
    );
    expect(outcome.failed).toBe(false);
  });
  it("join many blocks into groups that keep a block together", () => {
    const codes = Int32Array.from({ length: 5000 }, (_, i) => i % 1000);
    const groups = resamplingGroups(5000, { count: 1000, codes }, 3);
    expect(groups.count).toBe(256);
    for (let row = 0; row < 4000; row++) expect(groups.of[row]).toBe(groups.of[row + 1000]);
  });
});

describe("bootstrap", () => {
  it("covers the true value about as often as it says", () => {
    let covered = 0;
    const trials = 200;
    for (let trial = 0; trial < trials; trial++) {
      const rows = makeRows(600, 0, trial + 1);
      const groups = resamplingGroups(600, undefined, 1);
      const interval = bootstrapInterval(groupMetric(rows, groups, { metric: "brier", threshold: 0.5 }), groups.count, {
        resamples: 200,
        confidence: 0.9,
        seed: 5,
      });
      // The Brier score of a true probability that is uniform is the mean of p(1 - p), 1/6.
      if (interval.lower <= 1 / 6 && 1 / 6 <= interval.upper) covered++;
    }
    expect(covered / trials).toBeGreaterThan(0.83);
    expect(covered / trials).toBeLessThan(0.97);
  });
  it("gives a wider interval when rows of a block are alike", () => {
    const count = 3000;
    const random = seededRandom(9);
    const day = Array.from({ length: 30 }, () => random(1000) / 1000);
    const rows = {
      score: new Float64Array(count).fill(0.5),
      target: Float64Array.from({ length: count }, (_, i) => (random(1000) / 1000 < (day[i % 30] ?? 0) ? 1 : 0)),
    };
    const width = (blocks: { count: number; codes: Int32Array } | undefined): number => {
      const groups = resamplingGroups(count, blocks, 1);
      const statistic = groupMetric(rows, groups, { metric: "accuracy", threshold: 0.5 });
      const interval = bootstrapInterval(statistic, groups.count, { resamples: 400, confidence: 0.95, seed: 1 });
      return interval.upper - interval.lower;
    };
    const byDay = width({ count: 30, codes: Int32Array.from({ length: count }, (_, i) => i % 30) });
    expect(byDay / width(undefined)).toBeGreaterThan(3);
  });
});

describe("Holm's correction", () => {
  it("gives the values of R's p.adjust", () => {
    const adjusted = holmAdjust([0.01, 0.02, 0.03, 0.04, 0.05]);
    for (const [index, value] of [0.05, 0.08, 0.09, 0.09, 0.09].entries())
      expect(adjusted[index]).toBeCloseTo(value, 12);
    expect(holmAdjust([0.04, 0.001])).toEqual([0.04, 0.002]);
  });
});

describe("alpha spending", () => {
  it("spends little early by O'Brien-Fleming, more by Pocock, all at the end", () => {
    // Lan-DeMets at one-sided 0.025: published values at a half of the information.
    expect(spentAlpha("obrien-fleming", 0.025, 0.5)).toBeCloseTo(0.00153, 5);
    expect(spentAlpha("pocock", 0.025, 0.5)).toBeCloseTo(0.0155, 4);
    expect(spentAlpha("obrien-fleming", 0.05, 1)).toBeCloseTo(0.05, 12);
    expect(spentAlpha("pocock", 0.05, 1)).toBeCloseTo(0.05, 12);
  });
  it("never spends more than it has, however often it looks", () => {
    const looks = Array.from({ length: 50 }, (_, i) => lookAlpha("pocock", 0.05, (i + 1) / 50, i / 50));
    expect(looks.reduce((sum, alpha) => sum + alpha, 0)).toBeCloseTo(0.05, 12);
  });
  it("stops a canary that fails and lets a sound one finish", () => {
    const common = {
      plannedTotal: 2000,
      previousTotal: 0,
      alpha: 0.05,
      margin: 0.01,
      spending: "obrien-fleming",
    } as const;
    const stable = { failed: 10, total: 10_000 };
    expect(canaryLook({ ...common, stable, canary: { failed: 300, total: 1000 } }).decision).toBe("stop");
    expect(canaryLook({ ...common, stable, canary: { failed: 1, total: 1000 } }).decision).toBe("continue");
    expect(canaryLook({ ...common, stable, canary: { failed: 2, total: 2000 } }).decision).toBe("finish");
  });
});

describe("verdicts", () => {
  const good = makeRows(4000, 0.1, 1);
  const worse = Float64Array.from(good.score, (score, i) => 0.5 * score + 0.5 * (((i * 7919) % 1000) / 1000));
  const days = coded("day", 4000, (row) => row % 40, 40);

  it("pass a better candidate, refuse a worse one, and stay undecided over equals with a zero margin", () => {
    const better = judgeCandidate({
      policy: policy({ block: "day" }),
      candidate: good,
      championScore: worse,
      block: days,
    });
    expect(better).toMatchObject({ outcome: "passed", allowed: true, comparedWith: "champion" });
    expect(better.difference?.lower).toBeGreaterThan(0);
    expect(better.resampling).toMatchObject({ unit: "block", column: "day", blocks: 40 });
    const worseCandidate = { score: worse, target: good.target };
    expect(judgeCandidate({ policy: policy(), candidate: worseCandidate, championScore: good.score }).outcome).toBe(
      "refused",
    );
    const nearly = Float64Array.from(good.score, (score, i) => score + (((i * 31) % 101) - 50) * 2e-5);
    const undecided = judgeCandidate({
      policy: policy(),
      candidate: { score: nearly, target: good.target },
      championScore: good.score,
    });
    expect(undecided).toMatchObject({ outcome: "inconclusive", allowed: false });
    const lenient = judgeCandidate({
      policy: policy({ inconclusive: "pass" }),
      candidate: { score: nearly, target: good.target },
      championScore: good.score,
    });
    expect(lenient).toMatchObject({ outcome: "inconclusive", allowed: true });
  });
  it("favour the candidate in the direction of the metric", () => {
    const verdict = judgeCandidate({ policy: policy({ metric: "log_loss" }), candidate: good, championScore: worse });
    expect(verdict.difference?.value).toBeGreaterThan(0);
    expect(verdict.candidate.value).toBeLessThan(verdict.reference?.value ?? 0);
  });
  it("judge the same input the same way", () => {
    const input = { policy: policy({ block: "day" }), candidate: good, championScore: worse, block: days };
    expect(judgeCandidate(input)).toEqual(judgeCandidate(input));
  });
  it("beat the constant prediction while there is no champion", () => {
    expect(judgeCandidate({ policy: policy(), candidate: good })).toMatchObject({
      outcome: "passed",
      comparedWith: "baseline",
    });
    const useless = { score: Float64Array.from(good.score, (_, i) => ((i * 7919) % 1000) / 1000), target: good.target };
    expect(
      judgeCandidate({ policy: policy({ no_champion: { rule: "baseline", by: 0.05 } }), candidate: useless }).outcome,
    ).toBe("refused");
    expect(judgeCandidate({ policy: policy({ no_champion: { rule: "refuse" } }), candidate: good }).outcome).toBe(
      "refused",
    );
    expect(judgeCandidate({ policy: policy({ no_champion: { rule: "pass" } }), candidate: useless }).outcome).toBe(
      "passed",
    );
  });
  it("refuse a broken bound whatever the champion does, and reject a bound that is not measured", () => {
    const bounded = policy({ bounds: { auc: { min: 0.99 } } });
    const verdict = judgeCandidate({ policy: bounded, candidate: good, championScore: worse });
    expect(verdict.outcome).toBe("refused");
    expect(verdict.reasons[0]).toContain("auc is");
    expect(() => judgeCandidate({ policy: policy({ bounds: { acu: { min: 0.5 } } }), candidate: good })).toThrow(
      /bounds `acu`/,
    );
  });
  it("do not decide on too few rows or blocks", () => {
    expect(judgeCandidate({ policy: policy({ min_rows: 5000 }), candidate: good, championScore: worse }).outcome).toBe(
      "inconclusive",
    );
    const two = coded("day", 4000, (row) => row % 2, 2);
    expect(
      judgeCandidate({ policy: policy({ block: "day" }), candidate: good, championScore: worse, block: two }).outcome,
    ).toBe("inconclusive");
  });
  it("find the slice that got worse, and only report small ones", () => {
    const slice = coded("origin", 4000, (row) => (row < 30 ? 3 : row % 3), 4);
    const broken = Float64Array.from(good.score, (score, i) => (slice.codes[i] === 1 ? 1 - score : score));
    const settings = policy({ margin: 0.9, slices: { columns: ["origin"], min_count: 200, max_regression: 0.05 } });
    const verdict = judgeCandidate({
      policy: settings,
      candidate: { score: broken, target: good.target },
      championScore: good.score,
      slices: [slice],
    });
    expect(verdict.outcome).toBe("refused");
    expect(verdict.reasons.join(" ")).toContain("origin = v1");
    const outcomes = Object.fromEntries(verdict.slices.map((entry) => [entry.value, entry.outcome]));
    expect(outcomes).toEqual({ v0: "kept", v1: "worse", v2: "kept", v3: "too_few" });
  });
  it("judge a metrics document by bounds alone", () => {
    const bounded = policy({ bounds: { f1: { min: 0.7 } } });
    expect(judgeMetrics(bounded, { f1: 0.8 }).outcome).toBe("passed");
    expect(judgeMetrics(bounded, { f1: 0.6 }).outcome).toBe("refused");
    expect(judgeMetrics(bounded, {}).outcome).toBe("refused");
    expect(judgeMetrics(policy(), { f1: 0.8 }).outcome).toBe("inconclusive");
  });
  it("pass an equal model only about as often as the confidence allows", () => {
    let passed = 0;
    const trials = 100;
    for (let trial = 0; trial < trials; trial++) {
      const rows = makeRows(500, 0.2, 1000 + trial);
      const random = seededRandom(trial);
      const other = rows.score.map((score) => score + (random(1000) - 500) / 5000);
      const own = rows.score.map((score) => score + (random(1000) - 500) / 5000);
      const verdict = judgeCandidate({
        policy: policy({ resamples: 200 }),
        candidate: { score: own, target: rows.target },
        championScore: other,
      });
      if (verdict.outcome === "passed") passed++;
    }
    expect(passed / trials).toBeLessThan(0.1);
  });
});
