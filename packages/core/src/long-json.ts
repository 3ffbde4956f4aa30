/** Not the digits of a fraction, which nearly every logged value has. */
const longNumber = /(?:^|[\s:,[])-?\d{16,}(?![\d.eE])/;
/** Longer ones are no 64-bit integers, and making a bigint of a million digits takes a second. */
const integerText = /^-?\d{16,20}$/;

interface RawJson {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
}
const engine = JSON as unknown as RawJson;

/**
 * JSON whose 64-bit integers are plain numbers, as MLflow's protocol has them; a double would round them. Integers up to 2^53 are numbers,
 * greater ones of up to 20 digits bigint. Throws SyntaxError.
 */
export function parseLongJson(text: string): unknown {
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

/** What JSON.stringify writes as the plain number. */
export function rawInteger(value: bigint): unknown {
  return engine.rawJSON(value.toString());
}
