/** What the address of a run's page says: the step that is open, so that a link shows the same. */
export interface RunAddress {
  step?: string;
  /** Branch of a mapped step or trial of a search, from 0. */
  branch?: number;
  /** Number of the attempt, from 1. */
  attempt?: number;
}

function whole(value: unknown, least: number): number | undefined {
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) && number >= least ? number : undefined;
}

/** Addresses are typed by people: what is not understood is left out, never an error. */
export function readRunAddress(search: Record<string, unknown>): RunAddress {
  const step = typeof search["step"] === "string" && search["step"] !== "" ? search["step"] : undefined;
  if (step === undefined) return {};
  const branch = whole(search["branch"], 0);
  const attempt = whole(search["attempt"], 1);
  return { step, ...(branch === undefined ? {} : { branch }), ...(attempt === undefined ? {} : { attempt }) };
}
