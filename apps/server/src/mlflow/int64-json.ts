/**
 * JSON with 64-bit integers, as MLflow's protocol has them: written as plain numbers, read without loss. Integers up to 2^53 are numbers
 * here, greater ones bigint. Non-finite doubles are the texts that protobuf's JSON mapping names.
 */
/** Not the digits of a fraction, which nearly every logged value has. */
const longNumber = /[\s:,[]-?\d{16,}(?![\d.eE])/;
const integerText = /^-?\d{16,}$/;

interface RawJson {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
}
const engine = JSON as unknown as RawJson;

export function parseJson(text: string): unknown {
  // The reviver is several times slower: only a text that may hold such a number needs it.
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

export function writeJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member === "bigint") return engine.rawJSON(member.toString());
    if (typeof member === "number" && !Number.isFinite(member)) return jsonDouble(member);
    return member;
  });
}

/** For a document that JSON.stringify writes without a replacer, which is several times faster. */
export function jsonInteger(value: number | bigint): unknown {
  return typeof value === "bigint" ? engine.rawJSON(value.toString()) : value;
}

/** MLflow answers infinities as the greatest doubles. */
export function jsonDouble(value: number): string | number {
  if (Number.isFinite(value)) return value;
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? Number.MAX_VALUE : -Number.MAX_VALUE;
}
