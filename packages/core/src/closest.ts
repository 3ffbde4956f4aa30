/** The candidate that a misspelt word most likely means; undefined when none is near. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    // Where every letter differs, nothing was misspelt.
    if (distance < bestDistance && distance < Math.max(word.length, candidate.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `Did you mean x?`, or the list of what there is. */
export function didYouMean(word: string, candidates: Iterable<string>, what: string): string {
  const all = [...candidates];
  const guess = closest(word, all);
  if (guess !== undefined) return `Did you mean \`${guess}\`?`;
  if (all.length === 0) return `There are no ${what}.`;
  return `Known ${what}: ${all.slice(0, 30).join(", ")}${all.length > 30 ? ", ..." : ""}.`;
}

/** Insertions, deletions, replacements, and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8) return 99;
  let twoBack: number[] = [];
  let back = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min((row[j - 1] ?? 0) + 1, (back[j] ?? 0) + 1, (back[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        value = Math.min(value, (twoBack[j - 2] ?? 0) + 1);
      row.push(value);
    }
    twoBack = back;
    back = row;
  }
  return back[b.length] ?? 99;
}
