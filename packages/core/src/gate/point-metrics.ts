import { auc, averagePrecision, calibrationError, calibrationTable } from "./metrics.ts";
import { orderByValue } from "./order.ts";
import { additiveMetric } from "./row-sums.ts";
import type { ScoredRows, Task } from "./scored-rows.ts";

export const pointMetricNames: Readonly<Record<Task, readonly string[]>> = {
  binary: [
    "auc",
    "average_precision",
    "log_loss",
    "brier",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "calibration_error",
    "base_rate",
  ],
  regression: ["rmse", "mae", "r2", "mean_target"],
};

/** Every metric of a task over all rows, by name. What does not exist (AUC of one class) is left out. */
export function pointMetrics(rows: ScoredRows, task: Task, threshold = 0.5): Record<string, number> {
  const values = task === "binary" ? binaryMetrics(rows, threshold) : regressionMetrics(rows);
  return Object.fromEntries(Object.entries(values).filter(([, value]) => Number.isFinite(value)));
}

function binaryMetrics(rows: ScoredRows, threshold: number): Record<string, number> {
  const order = orderByValue(rows.score);
  return {
    auc: auc(rows, order),
    average_precision: averagePrecision(rows, order),
    log_loss: additiveMetric("log_loss", rows),
    brier: additiveMetric("brier", rows),
    accuracy: additiveMetric("accuracy", rows, threshold),
    precision: additiveMetric("precision", rows, threshold),
    recall: additiveMetric("recall", rows, threshold),
    f1: additiveMetric("f1", rows, threshold),
    calibration_error: calibrationError(calibrationTable(rows)),
    base_rate: rows.target.reduce((sum, target) => sum + target, 0) / rows.target.length,
  };
}

function regressionMetrics(rows: ScoredRows): Record<string, number> {
  return {
    rmse: additiveMetric("rmse", rows),
    mae: additiveMetric("mae", rows),
    r2: additiveMetric("r2", rows),
    mean_target: rows.target.reduce((sum, target) => sum + target, 0) / rows.target.length,
  };
}
