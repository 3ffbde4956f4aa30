export const runStates = ["queued", "running", "succeeded", "failed", "cancelled"] as const;

/** What the address of the Runs page says, so that a filtered list can be shared. */
export interface RunFilters {
  pipeline?: string;
  state?: (typeof runStates)[number];
}

/** Addresses are typed by people: what is not understood is left out, never an error. */
export function readRunFilters(search: Record<string, unknown>): RunFilters {
  const pipeline = search["pipeline"];
  const state = runStates.find((name) => name === search["state"]);
  return {
    ...(typeof pipeline === "string" && pipeline !== "" ? { pipeline } : {}),
    ...(state === undefined ? {} : { state }),
  };
}
