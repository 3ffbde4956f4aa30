/** One thing that is compared: its value on each axis; null where it has none. */
export interface Row {
  name: string;
  stroke: number;
  values: readonly (number | string | null)[];
}

export interface Axis {
  name: string;
  /** Text from the lowest to the highest place, at 0 to 1. */
  ticks: { at: number; label: string }[];
  /** Where a value lies, from 0 to 1. */
  place(value: number | string | null): number | null;
}

/**
 * An axis over the values that occur. Numbers are placed by size, or by their logarithm where they are positive and span more than two powers
 * of ten, as learning rates do; everything else by name.
 */
export function axisOver(
  name: string,
  values: readonly (number | string | null)[],
  label: (value: number) => string,
): Axis {
  const present = values.filter((value) => value !== null);
  const numbers = present.filter((value) => typeof value === "number");
  if (numbers.length === present.length && numbers.length > 0) {
    const least = numbers.reduce((a, b) => Math.min(a, b));
    const greatest = numbers.reduce((a, b) => Math.max(a, b));
    const scale = least > 0 && greatest / least > 100 ? Math.log10 : (value: number) => value;
    const span = scale(greatest) - scale(least);
    return {
      name,
      ticks:
        least === greatest
          ? [{ at: 0.5, label: label(least) }]
          : [
              { at: 0, label: label(least) },
              { at: 1, label: label(greatest) },
            ],
      place: (value) => (typeof value !== "number" ? null : span === 0 ? 0.5 : (scale(value) - scale(least)) / span),
    };
  }
  const names = [...new Set(present.map(String))].sort();
  const at = (index: number): number => (names.length === 1 ? 0.5 : index / (names.length - 1));
  return {
    name,
    ticks: names.map((text, index) => ({ at: at(index), label: text })),
    place: (value) => (value === null ? null : at(names.indexOf(String(value)))),
  };
}
