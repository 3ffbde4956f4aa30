import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** Experiments: made, found, renamed, tagged, deleted and restored. */
export function experimentsRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
