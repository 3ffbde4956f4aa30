const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const significant = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });

const count = (value: number): string => number.format(value);

export function plural(value: number, noun: string): string {
  return `${count(value)} ${value === 1 ? noun : `${noun}s`}`;
}

/** A metric's value: five significant digits, or the powers of ten of what is very large or small. */
export function decimal(value: number | string): string {
  if (typeof value === "string") return value;
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e9)) return value.toExponential(3);
  return significant.format(value);
}

export function bytes(size: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let rest = size;
  let unit = 0;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
}

/** `842 ms`, `3.2 s`, `4 min 05 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.max(0, Math.round(milliseconds))} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600_000],
  ["month", 2_629_800_000],
  ["week", 604_800_000],
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

/** `3 minutes ago`, `in 2 hours`, `just now`. */
export function ago(instant: number, now: number): string {
  const difference = instant - now;
  for (const [unit, length] of steps)
    if (Math.abs(difference) >= length) return relative.format(Math.round(difference / length), unit);
  return "just now";
}

/** ISO 8601 with the reader's offset: `2026-03-01T09:30:00.250+01:00`. */
export function exactInstant(instant: number): string {
  const date = new Date(instant);
  const offset = -date.getTimezoneOffset();
  const local = new Date(instant + offset * 60_000).toISOString().slice(0, -1);
  const pad = (value: number): string => String(Math.floor(Math.abs(value))).padStart(2, "0");
  return `${local}${offset === 0 ? "Z" : `${offset < 0 ? "-" : "+"}${pad(offset / 60)}:${pad(offset % 60)}`}`;
}

/** Ids and digests are told apart by their first characters. */
export const shortDigest = (digest: string): string => digest.replace(/^sha256:/, "").slice(0, 10);
