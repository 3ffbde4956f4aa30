/** A set of code points, as ranges; `negated`: all others. */
export interface CharacterSet {
  ranges: (readonly [first: number, last: number])[];
  negated: boolean;
}

export type Pattern =
  | { kind: "set"; set: CharacterSet }
  | { kind: "begin" }
  | { kind: "end" }
  | { kind: "sequence"; items: Pattern[] }
  | { kind: "choice"; branches: Pattern[] }
  /** `most` may be Infinity. */
  | { kind: "repeat"; item: Pattern; least: number; most: number };

const longestPattern = 500;
const deepestGroup = 20;
const mostRepeats = 255;

/**
 * Reads the part of regular expressions that SQLite (by our own matcher) and PostgreSQL can be made to mean alike: literals, `.`, classes,
 * \d \w \s (of ASCII), groups, alternatives, greedy and lazy quantifiers, ^ and $ for the whole text. Throws a PatternError for anything
 * else: look-around, back-references, flags.
 */
export function parsePattern(text: string): Pattern {
  const characters = [...text];
  if (characters.length > longestPattern) refuse(`it has more than ${longestPattern} characters`);
  let at = 0;
  const peek = (): string | undefined => characters[at];
  const take = (wanted: string): boolean => {
    if (characters[at] !== wanted) return false;
    at += 1;
    return true;
  };

  const choice = (depth: number): Pattern => {
    if (depth > deepestGroup) refuse(`groups lie more than ${deepestGroup} deep`);
    const branches = [sequence(depth)];
    while (take("|")) branches.push(sequence(depth));
    const [only] = branches;
    return branches.length === 1 && only !== undefined ? only : { kind: "choice", branches };
  };
  const sequence = (depth: number): Pattern => {
    const items: Pattern[] = [];
    for (let next = peek(); next !== undefined && next !== "|" && next !== ")"; next = peek()) {
      items.push(quantified(atom(depth)));
    }
    return { kind: "sequence", items };
  };
  const atom = (depth: number): Pattern => {
    const character = characters[at] ?? "";
    at += 1;
    switch (character) {
      case "(": {
        if (take("?") && !take(":")) refuse("only groups and (?: ) may begin with a bracket");
        const inner = choice(depth + 1);
        if (!take(")")) refuse("a bracket is not closed");
        return inner;
      }
      case "^":
        return { kind: "begin" };
      case "$":
        return { kind: "end" };
      case ".":
        return { kind: "set", set: { ranges: [[10, 10]], negated: true } };
      case "[":
        return { kind: "set", set: bracket() };
      case "\\":
        return { kind: "set", set: escaped() };
      case "*":
      case "+":
      case "?":
      case "{":
        return refuse(`'${character}' stands where nothing is to be repeated`);
      default:
        return { kind: "set", set: one(character) };
    }
  };
  const quantified = (item: Pattern): Pattern => {
    const [least, most] = quantifier();
    if (least === 1 && most === 1) return item;
    if (item.kind === "begin" || item.kind === "end") refuse("an anchor can not be repeated");
    // A lazy one finds the same texts.
    take("?");
    if (["*", "+", "?", "{"].includes(peek() ?? "")) refuse("a quantifier follows a quantifier");
    return { kind: "repeat", item, least, most };
  };
  const quantifier = (): readonly [number, number] => {
    if (take("*")) return [0, Number.POSITIVE_INFINITY];
    if (take("+")) return [1, Number.POSITIVE_INFINITY];
    if (take("?")) return [0, 1];
    if (peek() !== "{") return [1, 1];
    const [whole, least = "", comma, most = ""] =
      /^\{(\d{1,3})(,(\d{0,3}))?\}/.exec(characters.slice(at, at + 9).join("")) ?? [];
    if (whole === undefined) refuse("a '{' begins no number of repeats");
    at += whole.length;
    const bounds = [
      Number(least),
      comma === undefined ? Number(least) : most === "" ? Number.POSITIVE_INFINITY : Number(most),
    ] as const;
    const tooMany = bounds.some((bound) => bound > mostRepeats && bound !== Number.POSITIVE_INFINITY);
    if (tooMany || bounds[0] > bounds[1]) refuse(`a number of repeats is 0 to ${mostRepeats}, the smaller first`);
    return bounds;
  };
  const escaped = (): CharacterSet => {
    const character = characters[at];
    at += 1;
    if (character === undefined) return refuse("it ends in a backslash");
    const known = classes[character];
    if (known !== undefined) return known;
    const control = controls[character];
    if (control !== undefined) return one(control);
    if (/[A-Za-z0-9]/.test(character)) refuse(`\\${character} is not known here`);
    return one(character);
  };
  const bracket = (): CharacterSet => {
    const negated = take("^");
    const ranges: (readonly [number, number])[] = [];
    for (let first = true; ; first = false) {
      const character = characters[at];
      if (character === undefined) refuse("a class is not closed");
      at += 1;
      if (character === "]" && !first) return { ranges, negated };
      if (character === "[" && [".", ":", "="].includes(peek() ?? "")) refuse("named classes are not known here");
      const set = character === "\\" ? escaped() : one(character as string);
      const low = set.ranges.length === 1 && !set.negated ? set.ranges[0] : undefined;
      const isRange = peek() === "-" && characters[at + 1] !== undefined && characters[at + 1] !== "]";
      if (!isRange) {
        if (set.negated) refuse("\\D, \\W and \\S may not stand in a class");
        ranges.push(...set.ranges);
        continue;
      }
      at += 1;
      const end = characters[at] ?? "";
      at += 1;
      const high = end === "\\" ? escaped() : one(end);
      const top = high.ranges.length === 1 && !high.negated ? high.ranges[0] : undefined;
      const isSingle = low !== undefined && top !== undefined && low[0] === low[1] && top[0] === top[1];
      if (!isSingle || low[0] > top[0])
        return refuse("a range of a class is from the smaller to the greater character");
      ranges.push([low[0], top[0]]);
    }
  };

  const pattern = choice(0);
  if (at < characters.length) refuse("a bracket is closed that was not opened");
  return pattern;
}

function one(character: string): CharacterSet {
  const code = character.codePointAt(0) ?? 0;
  return { ranges: [[code, code]], negated: false };
}

const range = (from: string, to: string): readonly [number, number] => [from.charCodeAt(0), to.charCodeAt(0)];
const digits = [range("0", "9")];
const word = [range("0", "9"), range("A", "Z"), range("_", "_"), range("a", "z")];
const space = [range("\t", "\r"), range(" ", " ")];
const classes: Readonly<Record<string, CharacterSet>> = {
  d: { ranges: digits, negated: false },
  D: { ranges: digits, negated: true },
  w: { ranges: word, negated: false },
  W: { ranges: word, negated: true },
  s: { ranges: space, negated: false },
  S: { ranges: space, negated: true },
};
const controls: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", f: "\f", v: "\v" };

/** An error of nobody else's, since a reader's thread, which reads patterns too, imports nothing but Node's own modules. */
export class PatternError extends Error {
  override name = "PatternError";
}

export function refuse(why: string): never {
  throw new PatternError(`The regular expression can not be used: ${why}`);
}
