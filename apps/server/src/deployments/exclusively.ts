import type { ControlPlane } from "../control-plane.ts";

const tails = new WeakMap<ControlPlane, Map<string, Promise<unknown>>>();

/** One change of an endpoint at a time in this process; between processes the record's generations decide. */
export function exclusively<Result>(
  plane: ControlPlane,
  endpoint: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const chains = tails.get(plane) ?? new Map<string, Promise<unknown>>();
  tails.set(plane, chains);
  const result = (chains.get(endpoint) ?? Promise.resolve()).then(work, work);
  const tail = result
    .catch(() => undefined)
    .finally(() => {
      if (chains.get(endpoint) === tail) chains.delete(endpoint);
    });
  chains.set(endpoint, tail);
  return result;
}
