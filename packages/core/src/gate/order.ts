const digitBits = 16;
const digits = 1 << digitBits;

/**
 * Row numbers from the lowest to the highest value, equal values in the order of rows. A radix sort over the bits of the numbers: sorting
 * half a million scores with a comparison function takes ten times as long, and a gate sorts several times.
 */
export function orderByValue(values: Float64Array): Uint32Array {
  const words = sortableWords(values);
  let order = Uint32Array.from(values, (_, index) => index);
  let spare = new Uint32Array(order.length);
  // Little-endian halves of the low word, then of the high word.
  for (const [offset, shift] of [
    [0, 0],
    [0, digitBits],
    [1, 0],
    [1, digitBits],
  ] as const) {
    const starts = digitStarts(words, offset, shift);
    if (starts === undefined) continue;
    for (const row of order) {
      const digit = ((words[2 * row + offset] ?? 0) >>> shift) & (digits - 1);
      const position = starts[digit] ?? 0;
      spare[position] = row;
      starts[digit] = position + 1;
    }
    [order, spare] = [spare, order];
  }
  return order;
}

/** The bits of each number, low word first, changed so that unsigned order is numeric order; minus zero becomes zero. */
function sortableWords(values: Float64Array): Uint32Array {
  const words = new Uint32Array(Float64Array.from(values, (value) => value + 0).buffer);
  for (let i = 0; i < words.length; i += 2) {
    const high = words[i + 1] ?? 0;
    if (high >>> 31 === 1) {
      words[i] = ~(words[i] ?? 0);
      words[i + 1] = ~high;
    } else {
      words[i + 1] = high | 0x8000_0000;
    }
  }
  return words;
}

/** Where each digit's rows begin; undefined when all rows have the same digit (the low bits of numbers that were floats of 32 bits). */
function digitStarts(words: Uint32Array, offset: number, shift: number): Uint32Array | undefined {
  const counts = new Uint32Array(digits);
  for (let i = offset; i < words.length; i += 2) {
    const digit = ((words[i] ?? 0) >>> shift) & (digits - 1);
    counts[digit] = (counts[digit] ?? 0) + 1;
  }
  let start = 0;
  for (let digit = 0; digit < digits; digit++) {
    const count = counts[digit] ?? 0;
    if (2 * count === words.length && count > 0) return undefined;
    counts[digit] = start;
    start += count;
  }
  return counts;
}
