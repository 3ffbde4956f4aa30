export interface Entry {
  id: string;
  label: string;
  /** What kind of thing it is: page, run, pipeline. */
  kind: string;
  /** Further words it is found by. */
  words?: string;
}

/**
 * How well an entry fits what was typed; undefined: not at all. Every word must occur, in order of letters at least: at the beginning of a
 * word it counts most, then inside one, then scattered.
 */
function fitness(entry: Pick<Entry, "label" | "words">, typed: string): number | undefined {
  const text = `${entry.label} ${entry.words ?? ""}`.toLowerCase();
  let sum = 0;
  for (const word of typed
    .toLowerCase()
    .split(/\s+/)
    .filter((one) => one !== "")) {
    const at = text.indexOf(word);
    if (at === 0) sum += 4;
    else if (at > 0 && /[^a-z0-9]/.test(text[at - 1] ?? "")) sum += 3;
    else if (at > 0) sum += 2;
    else if (isScattered(text, word)) sum += 1;
    else return undefined;
  }
  return sum;
}

function isScattered(text: string, word: string): boolean {
  let at = -1;
  for (const letter of word) {
    at = text.indexOf(letter, at + 1);
    if (at === -1) return false;
  }
  return true;
}

/** The best first; among equals the order they came in. */
export function matches<One extends Entry>(entries: readonly One[], typed: string, most: number): One[] {
  return entries
    .flatMap((entry) => {
      const fit = fitness(entry, typed);
      return fit === undefined ? [] : [{ entry, fit }];
    })
    .sort((a, b) => b.fit - a.fit)
    .slice(0, most)
    .map(({ entry }) => entry);
}
