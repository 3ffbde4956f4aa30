import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** Runs: made, updated, deleted, restored; what they read and made. */
export function runsRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
