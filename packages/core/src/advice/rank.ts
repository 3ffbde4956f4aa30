import type { ToolManifest } from "../manifest.ts";
import { type Answers, type Criterion, criteria, weightsOf } from "./answers.ts";
import { type Candidate, candidatesFor, needOf, none, type Place } from "./candidates.ts";
import { type Mark, marks } from "./criteria.ts";
import { type Exclusion, exclusionsOf } from "./limits.ts";

/** One criterion's part of a score: `points` is weight times value, and all of them together are the score. */
export interface Reason extends Mark {
  criterion: Criterion;
  weight: number;
  points: number;
}

export interface Ranked {
  candidate: Candidate;
  /** 0 to 100. */
  score: number;
  reasons: Reason[];
}

export interface Ranking {
  place: Place;
  /** Best first. */
  ranked: Ranked[];
  excluded: { candidate: Candidate; exclusions: Exclusion[] }[];
}

export interface RankOptions {
  tools: readonly ToolManifest[];
  answers: Answers;
  /** ISO date: deadlines and prices are held against it. */
  today: string;
}

/** Bounds first, then weighted criteria. Every candidate is scored by itself, so that one more of them never reorders the others. */
export function rank(place: Place, { tools, answers, today }: RankOptions, leaveOut?: Criterion): Ranking {
  const need = needOf(place, answers);
  if (!need.isNeeded) {
    const reason: Reason = {
      criterion: "fit",
      weight: 100,
      value: 1,
      points: 100,
      because: need.because,
      at: [need.at],
    };
    return { place, ranked: [{ candidate: none, score: 100, reasons: [reason] }], excluded: [] };
  }
  const weights = sharesOf(answers, leaveOut);
  const ranked: Ranked[] = [];
  const excluded: Ranking["excluded"] = [];
  for (const candidate of candidatesFor(place, tools, answers)) {
    const exclusions = exclusionsOf(candidate, answers, place, today);
    if (exclusions.length > 0) {
      excluded.push({ candidate, exclusions });
      continue;
    }
    const reasons = criteria
      .filter((criterion) => weights[criterion] > 0)
      .map((criterion) => {
        const mark = marks[criterion](candidate, answers, place, today);
        return { criterion, weight: weights[criterion], points: weights[criterion] * mark.value, ...mark };
      });
    ranked.push({ candidate, score: reasons.reduce((sum, { points }) => sum + points, 0), reasons });
  }
  // Equals keep the catalog's order, in which the embedded tool comes first. Sums of the same parts may differ in the last bit.
  ranked.sort((one, other) => (Math.abs(other.score - one.score) < 1e-9 ? 0 : other.score - one.score));
  return { place, ranked, excluded };
}

/** Weights as parts of 100. */
function sharesOf(answers: Answers, leaveOut: Criterion | undefined): Record<Criterion, number> {
  const weights = weightsOf(answers);
  if (leaveOut !== undefined) weights[leaveOut] = 0;
  const sum = criteria.reduce((total, name) => total + weights[name], 0);
  const part = (name: Criterion): number => (sum === 0 ? 0 : (100 * weights[name]) / sum);
  return Object.fromEntries(criteria.map((name) => [name, part(name)])) as Record<Criterion, number>;
}
