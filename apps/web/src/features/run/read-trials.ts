export interface Trial {
  number: number;
  values: Readonly<Record<string, number | string>>;
  /** What it came to; null where it failed or was stopped. */
  result: number | null;
}

/** The trials of a search, from its output `trials`; empty for a step that is none. */
export function readTrials(values: Readonly<Record<string, unknown>> | undefined): {
  best: number | undefined;
  trials: Trial[];
} {
  const { trial, trials } = (values?.["trials"] ?? {}) as { trial?: unknown; trials?: unknown };
  if (!Array.isArray(trials)) return { best: undefined, trials: [] };
  return {
    best: typeof trial === "number" ? trial : undefined,
    trials: trials.map((one: { params?: Record<string, unknown>; value?: unknown }, number) => ({
      number,
      values: Object.fromEntries(
        Object.entries(one.params ?? {}).map(([name, value]) => [
          name,
          typeof value === "number" ? value : String(value),
        ]),
      ),
      result: typeof one.value === "number" ? one.value : null,
    })),
  };
}
