import { mlflowError } from "../mlflow-error.ts";
import { type Token, tokenize } from "./tokens.ts";

/** Refuses a filter. */
export function refuse(message: string): never {
  throw mlflowError("INVALID_PARAMETER_VALUE", message);
}

/** The tokens of one filter, read from left to right. */
export interface TokenReader {
  /** undefined: the end. */
  peek(ahead?: number): Token | undefined;
  next(): Token | undefined;
  /** Reads on when the next tokens are these words, in any case. */
  takeWords(...words: string[]): boolean;
  /** A dotted name as it was written, such as metrics.`val loss`; undefined when none stands here, and nothing is read then. */
  takeIdentifier(): string | undefined;
}

export function readTokens(filter: string): TokenReader {
  const tokens = tokenize(filter);
  let at = 0;
  const peek = (ahead = 0): Token | undefined => tokens[at + ahead];
  const isPart = (token: Token | undefined): token is Token =>
    token !== undefined && (token.kind === "word" || token.kind === "name" || token.kind === "text");
  return {
    peek,
    next: () => {
      at += 1;
      return tokens[at - 1];
    },
    takeWords: (...words) => {
      const found = words.every((word, index) => {
        const token = peek(index);
        return token?.kind === "word" && token.value.toUpperCase() === word;
      });
      if (found) at += words.length;
      return found;
    },
    takeIdentifier: () => {
      const first = peek();
      // '…' is a value; as the first part of a name only "…" and `…` may be quoted.
      if (!isPart(first) || first.value.startsWith("'")) return undefined;
      let last = first;
      at += 1;
      for (;;) {
        const dot = peek();
        const part = peek(1);
        if (dot?.value !== "." || dot.start !== last.end || !isPart(part) || part.start !== dot.end) break;
        last = part;
        at += 2;
      }
      return filter.slice(first.start, last.end);
    },
  };
}

const quotes = ["'", '"', "`"];

/** The text within its quotes. Doubled quotes and backslashes inside stay as they are written: MLflow's server undoes neither. */
export function unquote(text: string, marks: readonly string[] = quotes): string {
  const mark = text[0] ?? "";
  return text.length >= 2 && marks.includes(mark) && text.endsWith(mark) ? text.slice(1, -1) : text;
}
