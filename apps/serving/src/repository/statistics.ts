import { isEspalierError } from "@espalier/core";
import type { RunTiming } from "../model/model.ts";

/** How often, and how long in all. */
export interface DurationCount {
  count: number;
  milliseconds: number;
}

/** REJECTED: the queue was full, or the deadline passed in it. BACKEND: the model's own fault. OTHER: the request's. */
export type FailureReason = "REJECTED" | "CANCELED" | "BACKEND" | "OTHER";

/** What has been counted about one version of a model since it was first loaded. */
export interface StatisticsView {
  /** Milliseconds since the epoch; 0 before the first. */
  lastInference: number;
  /** Rows predicted. */
  inferenceCount: number;
  /** Runs of the model: fewer than the requests where they were batched. */
  executionCount: number;
  success: DurationCount;
  fail: DurationCount;
  /** The failed ones by Triton's reasons. */
  failures: Readonly<Record<FailureReason, number>>;
  queue: DurationCount;
  computeInput: DurationCount;
  computeInfer: DurationCount;
  computeOutput: DurationCount;
  /** Runs by how many rows they took together. */
  batches: ReadonlyMap<number, DurationCount>;
}

export interface ModelStatistics {
  view(): StatisticsView;
  /** A request whose answer is made. Times are of `performance.now()`. */
  succeeded(request: {
    rows: number;
    startedAt: number;
    parsedAt: number;
    timing: Partial<RunTiming>;
    finishedAt: number;
  }): void;
  /** A request of this model that was refused or failed. */
  failed(startedAt: number, error?: unknown): void;
  /** One run of the model. */
  ran(rows: number, milliseconds: number): void;
}

/** Large requests run alone in sizes of their own; so many sizes are told apart, the rest is counted in none. */
const maxBatchSizes = 512;

const none = (): DurationCount => ({ count: 0, milliseconds: 0 });

function add(to: DurationCount, milliseconds: number): void {
  to.count++;
  if (milliseconds > 0) to.milliseconds += milliseconds;
}

export function createStatistics(): ModelStatistics {
  const batches = new Map<number, DurationCount>();
  const counts = {
    lastInference: 0,
    inferenceCount: 0,
    executionCount: 0,
    success: none(),
    fail: none(),
    failures: { REJECTED: 0, CANCELED: 0, BACKEND: 0, OTHER: 0 },
    queue: none(),
    computeInput: none(),
    computeInfer: none(),
    computeOutput: none(),
    batches,
  };
  return {
    view: () => counts,
    succeeded({ rows, startedAt, parsedAt, timing, finishedAt }) {
      const { queuedAt = parsedAt, startedAt: ranAt = queuedAt, endedAt = finishedAt } = timing;
      counts.lastInference = Math.round(performance.timeOrigin + finishedAt);
      counts.inferenceCount += rows;
      add(counts.success, finishedAt - startedAt);
      add(counts.computeInput, parsedAt - startedAt);
      add(counts.queue, ranAt - queuedAt);
      add(counts.computeInfer, endedAt - ranAt);
      add(counts.computeOutput, finishedAt - endedAt);
    },
    failed(startedAt, error) {
      add(counts.fail, performance.now() - startedAt);
      counts.failures[failureReason(error)]++;
    },
    ran(rows, milliseconds) {
      counts.executionCount++;
      const known = batches.get(rows);
      if (known !== undefined) add(known, milliseconds);
      else if (batches.size < maxBatchSizes) batches.set(rows, { count: 1, milliseconds });
    },
  };
}

function failureReason(error: unknown): FailureReason {
  if (!isEspalierError(error)) return "BACKEND";
  const { code, httpStatus } = error;
  if (code === "RATE_LIMITED" || code === "TIMEOUT") return "REJECTED";
  if (code === "CANCELLED") return "CANCELED";
  return httpStatus >= 500 ? "BACKEND" : "OTHER";
}
