/**
 * Holm's step-down correction: p-values adjusted for having looked at all of them, in the order given. Rejecting where the adjusted
 * value is at most alpha keeps the chance of any false alarm below alpha. Source: Holm 1979.
 */
export function holmAdjust(pValues: readonly number[]): number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => (pValues[a] ?? 1) - (pValues[b] ?? 1));
  const adjusted = new Array<number>(pValues.length).fill(1);
  let running = 0;
  for (const [rank, index] of order.entries()) {
    running = Math.max(running, Math.min(1, (pValues[index] ?? 1) * (pValues.length - rank)));
    adjusted[index] = running;
  }
  return adjusted;
}
