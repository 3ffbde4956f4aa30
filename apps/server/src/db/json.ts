/** JSON columns are text: both databases then give back exactly what was written. */
export function toJson(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}

/** What this code wrote itself; a column that does not parse is a fault of ours and throws. */
export function fromJson<T>(text: string): T {
  return JSON.parse(text) as T;
}

/** `{[key]: value}` when the column holds something, `{}` when it is NULL: absent members stay absent. */
export function present<Key extends string, Value>(key: Key, value: Value | null): { [member in Key]?: Value } {
  return (value === null ? {} : { [key]: value }) as { [member in Key]?: Value };
}

/** As `present`, parsed. */
export function presentJson<Key extends string, Value>(key: Key, text: string | null): { [member in Key]?: Value } {
  return present(key, text === null ? null : fromJson<Value>(text));
}
