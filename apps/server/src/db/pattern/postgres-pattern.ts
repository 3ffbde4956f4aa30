import type { CharacterSet, Pattern } from "./parse-pattern.ts";

/** The same pattern in PostgreSQL's words; nothing of what a client wrote gets there unread. */
export function postgresPattern(pattern: Pattern): string {
  switch (pattern.kind) {
    case "set":
      return setText(pattern.set);
    case "begin":
      return "^";
    case "end":
      return "$";
    case "sequence":
      return pattern.items.map(postgresPattern).join("");
    case "choice":
      return `(?:${pattern.branches.map(postgresPattern).join("|")})`;
    case "repeat": {
      const { item, least, most } = pattern;
      return `(?:${postgresPattern(item)}){${least},${most === Number.POSITIVE_INFINITY ? "" : most}}`;
    }
  }
}

function setText({ ranges, negated }: CharacterSet): string {
  const texts = ranges.map(([first, last]) =>
    first === last ? characterText(first) : `${characterText(first)}-${characterText(last)}`,
  );
  return `[${negated ? "^" : ""}${texts.join("")}]`;
}

/** By its number, so that none has a meaning of its own. */
function characterText(code: number): string {
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}
