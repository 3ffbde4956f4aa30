/** Prometheus' text format, version 0.0.4. Source: prometheus.io/docs/instrumenting/exposition_formats. */

export type Labels = Readonly<Record<string, string | number>>;

export interface Sample {
  labels: Labels;
  value: number;
  /** Behind the family's name: `_sum`, `_count`, `_bucket`. */
  suffix?: string;
}

export const expositionContentType = "text/plain; version=0.0.4; charset=utf-8";

type FamilyType = "counter" | "gauge" | "histogram" | "summary";

/** One family with its samples; nothing when there are none. */
export function family(name: string, type: FamilyType, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return "";
  const lines = samples.map(
    ({ labels, value, suffix = "" }) => `${name}${suffix}${labelText(labels)} ${number(value)}\n`,
  );
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

/** Samples of a histogram whose `counts` has one entry a bound, and one more for what lies above. */
export function histogramSamples(
  labels: Labels,
  bounds: readonly number[],
  counts: readonly number[],
  sum: number,
): Sample[] {
  let total = 0;
  const buckets = bounds.map((bound, index) => {
    total += counts[index] ?? 0;
    return { labels: { ...labels, le: bound }, value: total, suffix: "_bucket" };
  });
  total += counts[bounds.length] ?? 0;
  return [
    ...buckets,
    { labels: { ...labels, le: "+Inf" }, value: total, suffix: "_bucket" },
    { labels, value: sum, suffix: "_sum" },
    { labels, value: total, suffix: "_count" },
  ];
}

/** How often and how long in all: a summary without quantiles. */
export function summarySamples(labels: Labels, count: number, sum: number): Sample[] {
  return [
    { labels, value: sum, suffix: "_sum" },
    { labels, value: count, suffix: "_count" },
  ];
}

/** Index of the bucket that a value belongs to. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let index = 0;
  while (index < bounds.length && value > (bounds[index] as number)) index++;
  return index;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
