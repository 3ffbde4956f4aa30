import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** The history of metrics, in pages and as intervals for charts. */
export function metricHistoryRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
