export interface LogisticRegression {
  /** For the features as they are, not standardised. */
  weights: number[];
  bias: number;
}

export interface FitOptions {
  /** Ridge penalty on the standardised weights. */
  penalty: number;
  onIteration?(iteration: number, logLoss: number): void;
}

const iterations = 25;
const smallestStep = 1e-9;

/** Newton's method on standardised features; it converges in a few iterations. */
export function fitLogisticRegression(
  rows: readonly (readonly number[])[],
  targets: readonly number[],
  options: FitOptions,
): LogisticRegression {
  const width = rows[0]?.length ?? 0;
  const scales = Array.from({ length: width }, (_, column) => scaleOf(rows.map((row) => row[column] ?? 0)));
  // The last column is the bias.
  const matrix = rows.map((row) => [...scales.map(({ mean, spread }, j) => ((row[j] ?? 0) - mean) / spread), 1]);
  let beta = new Array<number>(width + 1).fill(0);
  for (let iteration = 1; iteration <= iterations; iteration++) {
    const { gradient, hessian, logLoss } = derivatives(matrix, targets, beta, options.penalty);
    options.onIteration?.(iteration, logLoss);
    const step = solve(hessian, gradient);
    beta = beta.map((value, j) => value - (step[j] ?? 0));
    if (Math.max(...step.map(Math.abs)) < smallestStep) break;
  }
  const weights = scales.map(({ spread }, j) => (beta[j] ?? 0) / spread);
  const shift = scales.reduce((sum, { mean }, j) => sum + mean * (weights[j] ?? 0), 0);
  return { weights, bias: (beta[width] ?? 0) - shift };
}

function scaleOf(values: readonly number[]): { mean: number; spread: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, spread: Math.sqrt(variance) || 1 };
}

function derivatives(
  matrix: readonly (readonly number[])[],
  targets: readonly number[],
  beta: readonly number[],
  penalty: number,
): { gradient: number[]; hessian: number[][]; logLoss: number } {
  const size = beta.length;
  const ridge = beta.map((_, j) => (j < size - 1 ? penalty : 0));
  const gradient = beta.map((value, j) => (ridge[j] ?? 0) * value);
  const hessian = ridge.map((value, j) => ridge.map((_, k) => (j === k ? value : 0)));
  let loss = 0;
  for (const [index, row] of matrix.entries()) {
    const probability = 1 / (1 + Math.exp(-row.reduce((sum, value, j) => sum + value * (beta[j] ?? 0), 0)));
    const target = targets[index] ?? 0;
    loss -= Math.log(target === 1 ? probability : 1 - probability);
    const curvature = probability * (1 - probability);
    for (const [j, value] of row.entries()) {
      gradient[j] = (gradient[j] ?? 0) + (probability - target) * value;
      const line = hessian[j] ?? [];
      for (let k = 0; k < size; k++) line[k] = (line[k] ?? 0) + curvature * value * (row[k] ?? 0);
    }
  }
  return { gradient, hessian, logLoss: loss / matrix.length };
}

/** Gaussian elimination with pivoting. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const lines = matrix.map((line, j) => [...line, right[j] ?? 0]);
  const size = lines.length;
  const at = (line: number, column: number): number => lines[line]?.[column] ?? 0;
  for (let pivot = 0; pivot < size; pivot++) {
    let best = pivot;
    for (let j = pivot + 1; j < size; j++) if (Math.abs(at(j, pivot)) > Math.abs(at(best, pivot))) best = j;
    [lines[pivot], lines[best]] = [lines[best] ?? [], lines[pivot] ?? []];
    if (at(pivot, pivot) === 0) throw new Error("the features determine each other; drop one, or raise `penalty`");
    for (let j = 0; j < size; j++) {
      if (j === pivot) continue;
      const factor = at(j, pivot) / at(pivot, pivot);
      lines[j] = (lines[j] ?? []).map((value, k) => value - factor * at(pivot, k));
    }
  }
  return lines.map((line, j) => (line[size] ?? 0) / at(j, j));
}
