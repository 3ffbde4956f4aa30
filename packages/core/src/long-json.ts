/** May be one of 64 bits: not the digits of a fraction, which nearly every logged value has. Longer ones are no 64-bit integers. */
const longNumber = /(?:^|[,[: \n\t\r])(-?[1-9]\d{15,19})(?![\d.eE])/;

/** What nearly every text is told by, in half the time. */
const eightDigits = /[,[: \n\t\r]-?[1-9]\d\d\d\d\d\d\d/;
const onlyNumber = /^-?\d/;

interface RawJson {
  rawJSON(text: string): unknown;
}
const engine = JSON as unknown as RawJson;

/**
 * JSON whose 64-bit integers are plain numbers, as MLflow's protocol has them; a double would round them. Integers up to 2^53 are numbers,
 * greater ones of up to 20 digits bigint. Throws SyntaxError.
 */
export function parseLongJson(text: string): unknown {
  // Only a text that may hold such a number is read the longer way.
  if (!eightDigits.test(text) && !onlyNumber.test(text)) return JSON.parse(text);
  if (!longNumber.test(text)) return JSON.parse(text);
  const mark = `${crypto.randomUUID()}:`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(markLongNumbers(text, mark));
  } catch {
    // The same fault in the text as it came, whose places the caller knows.
    return JSON.parse(text);
  }
  return unmarked(parsed, mark);
}

/** The text with long integers as strings that begin with `mark`. A reviver sees them too, but takes ten times as long for large texts. */
function markLongNumbers(text: string, mark: string): string {
  const candidate = new RegExp(longNumber, "g");
  const parts: string[] = [];
  let copied = 0;
  let outside = 0;
  let quote = text.indexOf('"');
  for (let match = candidate.exec(text); match !== null; match = candidate.exec(text)) {
    const digits = match[1] as string;
    const start = match.index + match[0].length - digits.length;
    while (quote !== -1 && quote < start) {
      outside = endOfString(text, quote);
      quote = text.indexOf('"', outside);
    }
    if (start < outside) {
      candidate.lastIndex = outside;
      continue;
    }
    parts.push(text.slice(copied, start), '"', mark, digits, '"');
    copied = start + digits.length;
  }
  parts.push(text.slice(copied));
  return parts.join("");
}

/** Place behind the quote that ends the string which begins at `from`; the text's end when none does. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text[at - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return at + 1;
  }
  return text.length;
}

/** Marked strings as the integers that they are. Not recursive: what came may be nested a million times. */
function unmarked(value: unknown, mark: string): unknown {
  const root = [value];
  const open: object[] = [root];
  for (let container = open.pop(); container !== undefined; container = open.pop()) {
    if (Array.isArray(container)) unmarkList(container, mark, open);
    else unmarkObject(container as Record<string, unknown>, mark, open);
  }
  return root[0];
}

function unmarkList(list: unknown[], mark: string, open: object[]): void {
  for (let index = 0; index < list.length; index++) {
    const member = list[index];
    if (typeof member === "string") {
      if (member.startsWith(mark)) list[index] = integerOf(member.slice(mark.length));
    } else if (typeof member === "object" && member !== null) open.push(member);
  }
}

function unmarkObject(object: Record<string, unknown>, mark: string, open: object[]): void {
  for (const key of Object.keys(object)) {
    if (key.startsWith(mark)) throw new SyntaxError(`Expected a property name in JSON, got ${key.slice(mark.length)}`);
    const member = object[key];
    if (typeof member === "string") {
      if (member.startsWith(mark)) define(object, key, integerOf(member.slice(mark.length)));
    } else if (typeof member === "object" && member !== null) open.push(member);
  }
}

/** A plain assignment to `__proto__` would set the prototype. */
function define(into: object, key: string, value: unknown): void {
  Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });
}

function integerOf(digits: string): number | bigint {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}

/** What JSON.stringify writes as the plain number. */
export function rawInteger(value: bigint): unknown {
  return engine.rawJSON(value.toString());
}
