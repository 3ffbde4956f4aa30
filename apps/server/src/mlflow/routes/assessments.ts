import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** What people and judges said of traces. */
export function assessmentsRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
