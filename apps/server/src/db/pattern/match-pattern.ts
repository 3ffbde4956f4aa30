import { type CharacterSet, type Pattern, refuse } from "./parse-pattern.ts";

type Step =
  | { do: "set"; set: CharacterSet }
  | { do: "split"; to: readonly number[] }
  | { do: "begin" }
  | { do: "end" }
  | { do: "found" };

/** Steps of a compiled pattern; more would make each character of a text dear. */
const mostSteps = 2000;

/**
 * Whether a text holds the pattern anywhere. Follows all ways at once (Thompson's construction), so that no pattern takes longer than its
 * length times the text's: what clients send must not hold up a server.
 */
export function compilePattern(pattern: Pattern): (text: string) => boolean {
  const steps: Step[] = [];
  emit(steps, pattern);
  steps.push({ do: "found" });
  return (text) => {
    const length = text.length;
    let ways: number[] = [];
    let seen = new Uint8Array(steps.length);
    const follow = (first: number, at: number, into: number[]): boolean => {
      const pending = [first];
      for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
        if (seen[step] === 1) continue;
        seen[step] = 1;
        const what = steps[step];
        if (what === undefined || what.do === "found") return true;
        if (what.do === "set") into.push(step);
        else if (what.do === "split") pending.push(...what.to);
        else if (what.do === "begin" ? at === 0 : at === length) pending.push(step + 1);
      }
      return false;
    };
    for (let at = 0; ; ) {
      if (follow(0, at, ways)) return true;
      if (at >= length) return false;
      const code = text.codePointAt(at) ?? 0;
      at += code > 0xffff ? 2 : 1;
      const reached = ways;
      ways = [];
      seen = seen.fill(0);
      for (const step of reached) {
        const what = steps[step];
        if (what?.do === "set" && holds(what.set, code) && follow(step + 1, at, ways)) return true;
      }
    }
  };
}

function holds({ ranges, negated }: CharacterSet, code: number): boolean {
  return ranges.some(([first, last]) => code >= first && code <= last) !== negated;
}

function emit(steps: Step[], pattern: Pattern): void {
  if (steps.length > mostSteps) refuse("it repeats too much");
  switch (pattern.kind) {
    case "set":
      steps.push({ do: "set", set: pattern.set });
      return;
    case "begin":
    case "end":
      steps.push({ do: pattern.kind });
      return;
    case "sequence":
      for (const item of pattern.items) emit(steps, item);
      return;
    case "choice":
      emitChoice(steps, pattern.branches);
      return;
    case "repeat":
      emitRepeat(steps, pattern.item, pattern.least, pattern.most);
  }
}

function emitChoice(steps: Step[], branches: readonly Pattern[]): void {
  const fork = steps.push({ do: "split", to: [] }) - 1;
  const starts: number[] = [];
  const ends: number[] = [];
  for (const branch of branches) {
    starts.push(steps.length);
    emit(steps, branch);
    ends.push(steps.push({ do: "split", to: [] }) - 1);
  }
  steps[fork] = { do: "split", to: starts };
  for (const end of ends) steps[end] = { do: "split", to: [steps.length] };
}

function emitRepeat(steps: Step[], item: Pattern, least: number, most: number): void {
  for (let count = 0; count < least; count += 1) emit(steps, item);
  if (most === Number.POSITIVE_INFINITY) {
    const loop = steps.push({ do: "split", to: [] }) - 1;
    emit(steps, item);
    steps.push({ do: "split", to: [loop] });
    steps[loop] = { do: "split", to: [loop + 1, steps.length] };
    return;
  }
  const exits: number[] = [];
  for (let count = least; count < most; count += 1) {
    exits.push(steps.push({ do: "split", to: [] }) - 1);
    emit(steps, item);
  }
  for (const exit of exits) steps[exit] = { do: "split", to: [exit + 1, steps.length] };
}
