import { parseLongJson, rawInteger } from "@espalier/core";

/** JSON as MLflow speaks it: NaN is a text, integers beyond 2^53 are bigint. Throws SyntaxError. */
export function parseMlflowJson(text: string): unknown {
  try {
    return parseLongJson(text);
  } catch (error) {
    // The stock server writes a bare NaN in some answers.
    if (!/\b(NaN|Infinity)\b/.test(text)) throw error;
    return parseLongJson(text.replace(stringOrNotFinite, (found) => (found.startsWith('"') ? found : `"${found}"`)));
  }
}

const stringOrNotFinite = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;

export function writeMlflowJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member === "bigint") return rawInteger(member);
    if (typeof member === "number" && !Number.isFinite(member)) {
      // Protobuf's JSON mapping; the server stores infinities as the greatest doubles.
      return Number.isNaN(member) ? "NaN" : member > 0 ? "Infinity" : "-Infinity";
    }
    return member;
  });
}
