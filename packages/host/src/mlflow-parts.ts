import type * as openSource from "@espalier/open-source";

/** What imports and exports need to speak to an MLflow server. */
export type MlflowParts = Pick<
  typeof openSource,
  | "connectMlflow"
  | "exportLosses"
  | "createMlflowTrackerMirror"
  | "createMlflowRegistryMirror"
  | "createMlflowReader"
  | "createMlrunsTracker"
  | "createMlrunsRegistry"
>;

export async function loadMlflowParts(): Promise<MlflowParts> {
  return import("@espalier/open-source");
}
