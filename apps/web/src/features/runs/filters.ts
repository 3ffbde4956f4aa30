export const runStates = ["queued", "running", "succeeded", "failed", "cancelled"] as const;

/** What the address of the Runs page says, so that a list can be shared as it is seen. */
export interface RunFilters {
  pipeline?: string;
  state?: (typeof runStates)[number];
  /** In MLflow's filter language. */
  search?: string;
  /** Columns, separated by commas; left out: those that the reader chose last. */
  columns?: string;
  /** `pipeline`, `state`, `stack` or `params.<name>`. */
  group?: string;
}

/** Addresses are typed by people: what is not understood is left out, never an error. */
export function readRunFilters(search: Record<string, unknown>): RunFilters {
  const text = (name: string): string | undefined => {
    const value = search[name];
    return typeof value === "string" && value.trim() !== "" ? value : undefined;
  };
  const state = runStates.find((name) => name === search["state"]);
  const [pipeline, filter, columns, group] = ["pipeline", "search", "columns", "group"].map(text);
  return {
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(state === undefined ? {} : { state }),
    ...(filter === undefined ? {} : { search: filter }),
    ...(columns === undefined ? {} : { columns }),
    ...(group !== undefined && isGroup(group) ? { group } : {}),
  };
}

const isGroup = (text: string): boolean => /^(pipeline|state|stack|params\..+)$/.test(text);
