import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** What a training loop writes: metrics, parameters, tags, batches. */
export function loggingRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
