import { EspalierError } from "../errors.ts";

const secondsOf: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };
const bytesOf: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

export const durationPattern = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
export const sizePattern = /^\d+(?:\.\d+)?(?:k|M|G|T|Ki|Mi|Gi|Ti)?B?$/;

/** `30m`, `1h30m`, `90s`, or a number of seconds. INVALID_INPUT otherwise. */
export function parseDurationSeconds(text: string | number): number {
  if (typeof text === "number") return text;
  if (!durationPattern.test(text)) throw unreadable(text, "duration", "`90s`, `30m`, `1h30m`");
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    total += Number(amount) * (secondsOf[unit ?? ""] ?? 0);
  return total;
}

/** `4Gi`, `500M`, or a number of bytes. INVALID_INPUT otherwise. */
export function parseSizeBytes(text: string | number): number {
  if (typeof text === "number") return text;
  if (!sizePattern.test(text)) throw unreadable(text, "size", "`4Gi`, `500M`, or a number of bytes");
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([A-Za-z]*?)B?$/.exec(text) ?? [];
  return Math.round(Number(amount) * (bytesOf[unit ?? ""] ?? 1));
}

function unreadable(text: string, what: string, examples: string): EspalierError {
  return new EspalierError("INVALID_INPUT", `\`${text}\` is not a ${what}`, { hint: `Write ${examples}.` });
}
