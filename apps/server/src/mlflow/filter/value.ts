import type { FilterValue } from "../../db/queries/filtering.ts";
import type { KeyGrammar } from "./grammar.ts";
import type { Identifier } from "./identifier.ts";
import { refuse, type TokenReader, unquote } from "./token-reader.ts";
import type { Token } from "./tokens.ts";

const orderings = [">", ">=", "<", "<="];
export const longestList = 10_000;

/** What stands right of the operator, read and checked against the key's kind. */
export function readValue(
  tokens: TokenReader,
  identifier: Identifier,
  known: KeyGrammar,
  operator: string,
): FilterValue {
  const token = tokens.next() ?? refuse(`Invalid comparison clause. Expected 3 tokens found 2`);
  const isList = operator === "IN" || operator === "NOT IN";
  if (token.value === "(") {
    const values = readList(tokens);
    if (isList) return values;
    return refuse(
      wrongKind(
        identifier,
        known,
        `(${values
          .map((one) => `'${one}'`)
          .join(", ")
          .slice(0, 200)})`,
      ),
    );
  }
  if (isList) refuse(`Invalid clause(s) in filter string: '${operator}', '${token.value.slice(0, 250)}'`);
  const wantsNumber =
    known.kind === "integer" || known.kind === "double" || (known.kind === "either" && orderings.includes(operator));
  if (wantsNumber) {
    const quoted = known.mayBeQuoted === true && token.kind === "text" ? unquote(token.value, ["'", '"']) : "";
    if (/^[+-]?\d{1,30}$/.test(quoted)) return numberOf({ ...token, value: quoted }, identifier, known);
    if (token.kind !== "number") refuse(wrongKind(identifier, known, token.value));
    return numberOf(token, identifier, known);
  }
  if (token.kind === "text") return unquote(token.value, ["'", '"']);
  if (token.kind === "number" && known.kind === "written") return token.value;
  if (token.kind === "word" || token.kind === "name") {
    const written = token.value.slice(0, 250);
    refuse(
      `Parameter value is either not quoted or unidentified quote types used for string value ${written}. Use either single or double quotes.`,
    );
  }
  return refuse(wrongKind(identifier, known, token.value));
}

function numberOf(token: Token, { key }: Identifier, known: KeyGrammar): number | bigint {
  const value = Number(token.value);
  if (/^-?\d+$/.test(token.value)) return Number.isSafeInteger(value) ? value : BigInt(token.value);
  if (known.kind === "integer") refuse(`Invalid value for numeric attribute '${key}': '${token.value.slice(0, 50)}'`);
  return value;
}

function readList(tokens: TokenReader): string[] {
  const values: string[] = [];
  for (;;) {
    const token = tokens.next();
    if (token?.value === ")" && values.length > 0) return values;
    if (token?.value === ")") {
      refuse("While parsing a list in the query, expected a non-empty list of string values, but got empty list");
    }
    if (token?.kind !== "text") {
      const found = token === undefined ? "its end" : token.value.slice(0, 250);
      refuse(
        `While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type in list: ${found}`,
      );
    }
    values.push(unquote(token.value, ["'", '"']));
    if (values.length > longestList) refuse(`A list in a filter may have ${longestList} values`);
    const following = tokens.peek();
    if (following?.value === ",") tokens.next();
    else if (following?.value !== ")") {
      refuse("While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.");
    }
  }
}

function wrongKind({ entity, key }: Identifier, known: KeyGrammar, found: string): string {
  const got = found.slice(0, 250);
  if (known.kind === "integer" || known.kind === "double") {
    return entity.name === "metric"
      ? `Expected numeric value type for metric. Found ${got}`
      : `Expected numeric value type for numeric attribute: ${key}. Found ${got}`;
  }
  if (known.kind === "either")
    return `Expected a quoted string value or numeric value for ${entity.name}. Got value ${got}`;
  if (entity.name === "attribute") return `Expected a quoted string value for attributes. Got value ${got}`;
  if (entity.name === "dataset") return `Expected a quoted string value for dataset attributes. Got value ${got}`;
  return `Expected a quoted string value for ${entity.name} (e.g. 'my-value'). Got value ${got}`;
}
