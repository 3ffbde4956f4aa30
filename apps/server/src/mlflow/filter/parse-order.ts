import type { OrderTerm } from "../../db/queries/filtering.ts";
import type { FilterGrammar } from "./grammar.ts";
import { identify, orderKeyOf } from "./identifier.ts";
import { readTokens, refuse } from "./token-reader.ts";

const longestTerm = 1000;
const mostTerms = 20;

/** Reads `order_by`: each text is `<entity>.<key> [ASC|DESC]`. A key that comes twice is refused, since the second could order nothing. */
export function parseOrder(texts: readonly string[], grammar: FilterGrammar): OrderTerm[] {
  if (texts.length > mostTerms) refuse(`\`order_by\` may have ${mostTerms} fields, this one has ${texts.length}`);
  const terms = texts.map((text) => parseTerm(text, grammar));
  const names = new Set(terms.map(({ entity, key }) => JSON.stringify([entity, key])));
  if (names.size < terms.length) {
    refuse(`\`order_by\` contains duplicate fields: [${texts.map((text) => `'${text.slice(0, 100)}'`).join(", ")}]`);
  }
  return terms;
}

function parseTerm(text: string, grammar: FilterGrammar): OrderTerm {
  const shown = text.slice(0, 250);
  const unreadable = (): never => refuse(`Invalid order_by clause '${shown}'. Could not be parsed.`);
  if (text.length > longestTerm) unreadable();
  const tokens = readTokens(text);
  const written = tokens.takeIdentifier() ?? unreadable();
  const direction = tokens.next();
  if (tokens.peek() !== undefined || (direction !== undefined && direction.kind !== "word")) unreadable();
  const directionName = direction?.value.toUpperCase() ?? "ASC";
  if (directionName !== "ASC" && directionName !== "DESC") {
    refuse(`Invalid ordering key in order_by clause '${shown}'.`);
  }
  const identifier = identify(written, grammar);
  return { entity: identifier.entity.name, key: orderKeyOf(identifier), ascending: directionName === "ASC" };
}
