import type { Json } from "@espalier/core";
import type { RolloutProgress } from "./rollout-plan.ts";

/** What a rollout remembers, so that it goes on after a restart. */
export interface RolloutDetails {
  /** Follows the version once it has all traffic. */
  alias: string | null;
  by: string;
  runId: string | null;
  progress: RolloutProgress;
}

export function storable(details: RolloutDetails): Json {
  return JSON.parse(JSON.stringify(details)) as Json;
}
