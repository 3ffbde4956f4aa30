export type TokenKind = "word" | "text" | "name" | "number" | "operator" | "other";

/** `text`: '…' or "…". `name`: `…`. The value is what was written, quotes included. */
export interface Token {
  kind: TokenKind;
  value: string;
  /** Where it starts, and where the next character stands. */
  start: number;
  end: number;
}

const patterns: readonly (readonly [TokenKind, RegExp])[] = [
  ["text", /'(?:''|\\'|[^'])*'|"(?:""|\\"|[^"])*"/y],
  ["name", /`(?:``|[^`])*`/y],
  ["number", /-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\p{L}\p{N}_])/iuy],
  ["operator", /[<>=!~]+/y],
  ["word", /[\p{L}\p{N}_][\p{L}\p{N}\p{M}_$#]*/uy],
  ["other", /./suy],
];

/** Splits a filter; whatever is no part of one comes as `other`, a character at a time. */
export function tokenize(filter: string): Token[] {
  const tokens: Token[] = [];
  const space = /\s*/y;
  for (let at = 0; ; ) {
    space.lastIndex = at;
    space.exec(filter);
    at = space.lastIndex;
    if (at >= filter.length) return tokens;
    for (const [kind, pattern] of patterns) {
      pattern.lastIndex = at;
      const value = pattern.exec(filter)?.[0];
      if (value === undefined) continue;
      tokens.push({ kind, value, start: at, end: at + value.length });
      at += value.length;
      break;
    }
  }
}
