import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** Searches of runs, experiments and data sets. */
export function searchRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
