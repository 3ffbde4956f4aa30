import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** Files of a run, listed. */
export function runArtifactsRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
