/** Rows that a model has scored; arrays run in parallel. */
export interface ScoredRows {
  /** Binary: the probability of the positive class. Regression: the prediction. */
  score: Float64Array;
  /** Binary: 0 or 1. */
  target: Float64Array;
}

/** The value of a column in each row, as an index into `values`. */
export interface CodedColumn {
  column: string;
  values: readonly string[];
  codes: Int32Array;
}

export type Task = "binary" | "regression";
