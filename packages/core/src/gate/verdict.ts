import type { Digest } from "../canonical-json.ts";
import type { ResampledMetric } from "./metrics.ts";

/** Positive differences favour the candidate, whichever way the metric points. */
export interface Difference {
  value: number;
  lower: number;
  upper: number;
  standardError: number;
}

export interface SliceVerdict {
  column: string;
  value: string;
  rows: number;
  candidate: number | null;
  reference: number | null;
  difference: number | null;
  /** One-sided: that the slice is not worse than allowed. Absent where the slice is too small to judge. */
  pValue?: number;
  /** After Holm's correction over all judged slices. */
  adjustedPValue?: number;
  outcome: "kept" | "worse" | "too_few" | "reported";
}

export interface BoundVerdict {
  metric: string;
  value: number | null;
  min?: number;
  max?: number;
  passed: boolean;
}

export interface GateVerdict {
  outcome: "passed" | "refused" | "inconclusive";
  /** Whether the candidate goes on; an inconclusive verdict may, if the policy says so. */
  allowed: boolean;
  /** Sentences, the decisive one first. */
  reasons: string[];
  comparedWith: "champion" | "baseline" | "nothing";
  metric: ResampledMetric | null;
  margin: number;
  confidence: number;
  rows: number;
  candidate: { digest?: Digest; value: number | null; metrics: Readonly<Record<string, number>> };
  reference?: { digest?: Digest; value: number | null; metrics: Readonly<Record<string, number>> };
  difference?: Difference;
  resampling?: {
    unit: "block" | "row";
    column?: string;
    blocks: number;
    groups: number;
    resamples: number;
    seed: number;
  };
  slices: SliceVerdict[];
  /** Slices left out of the list because it is bounded; none of them is worse. */
  slicesOmitted: number;
  bounds: BoundVerdict[];
  policy?: Digest;
  data?: Digest;
}
