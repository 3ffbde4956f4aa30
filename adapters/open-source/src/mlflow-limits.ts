/** What one request of MLflow's REST takes. */
export const mostMetricsABatch = 1000;
export const mostParamsABatch = 100;
export const mostTagsABatch = 100;
const lengths = { key: 250, param: 6000, tag: 8000, experimentTag: 5000, registryTag: 100_000 } as const;

/** Cut to MLflow's length, in code points: its servers count those. */
export function cut(text: string, of: keyof typeof lengths): string {
  const most = lengths[of];
  if (text.length <= most) return text;
  const points = [...text];
  return points.length <= most ? text : points.slice(0, most).join("");
}

export interface KeyValue {
  key: string;
  value: string;
}

export function keyValues(values: Readonly<Record<string, string>>, of: keyof typeof lengths): KeyValue[] {
  return Object.entries(values).map(([key, value]) => ({ key: cut(key, "key"), value: cut(value, of) }));
}

export function* chunks<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

/** A text of MLflow's filter grammar; it has no escapes, so that the quote must be one that the text lacks. */
export function quoted(text: string): string {
  return text.includes("'") ? `"${text.replaceAll('"', "")}"` : `'${text}'`;
}
