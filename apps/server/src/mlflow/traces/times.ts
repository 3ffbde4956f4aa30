/** Protobuf's JSON for points in time and durations, in whole milliseconds. Source: protobuf.dev, ProtoJSON format. */

const timestamp = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

/** undefined: the text is none. */
export function readTimestamp(text: string): number | undefined {
  const [, seconds, fraction = "", zone] = timestamp.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  const time = Date.parse(`${seconds}${zone}`);
  return Number.isNaN(time) ? undefined : time + Number(fraction.padEnd(3, "0").slice(0, 3));
}

/** Years 1 to 9999, as protobuf has it; what lies beyond becomes the nearest of them. */
export function writeTimestamp(milliseconds: number): string {
  const text = new Date(Math.min(Math.max(milliseconds, -62_135_596_800_000), 253_402_300_799_999)).toISOString();
  return text.endsWith(".000Z") ? `${text.slice(0, -5)}Z` : text;
}

const duration = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;

export function readDuration(text: string): number | undefined {
  const [, sign, seconds, fraction = ""] = duration.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  const milliseconds = Number(seconds) * 1000 + Number(fraction.padEnd(3, "0").slice(0, 3));
  return sign === "-" ? -milliseconds : milliseconds;
}

export function writeDuration(milliseconds: number): string {
  const sign = milliseconds < 0 ? "-" : "";
  const whole = Math.abs(Math.trunc(milliseconds));
  const rest = whole % 1000;
  return `${sign}${Math.trunc(whole / 1000)}${rest === 0 ? "" : `.${String(rest).padStart(3, "0")}`}s`;
}
