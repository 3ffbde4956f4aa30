/** JSON as MLflow speaks it: 64-bit integers as plain numbers, which a double would round; NaN as a text. */
const longNumber = /[^"\d]-?\d{16,}/;
const integerText = /^-?\d{16,}$/;

interface RawJson {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
}
const engine = JSON as unknown as RawJson;

/** Integers beyond 2^53 are bigint. Throws SyntaxError. */
export function parseMlflowJson(text: string): unknown {
  try {
    return parseStrict(text);
  } catch (error) {
    // The stock server writes a bare NaN in some answers.
    if (!/\b(NaN|Infinity)\b/.test(text)) throw error;
    return parseStrict(text.replace(stringOrNotFinite, (found) => (found.startsWith('"') ? found : `"${found}"`)));
  }
}

const stringOrNotFinite = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;

function parseStrict(text: string): unknown {
  if (!longNumber.test(text)) return JSON.parse(text);
  return engine.parse(text, (_key, value, { source }) =>
    typeof value === "number" &&
    source !== undefined &&
    integerText.test(source) &&
    !Number.isSafeInteger(Number(source))
      ? BigInt(source)
      : value,
  );
}

export function writeMlflowJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member === "bigint") return engine.rawJSON(member.toString());
    if (typeof member === "number" && !Number.isFinite(member)) {
      // Protobuf's JSON mapping; the server stores infinities as the greatest doubles.
      return Number.isNaN(member) ? "NaN" : member > 0 ? "Infinity" : "-Infinity";
    }
    return member;
  });
}
