import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** Traces of both protocols that clients speak. */
export function tracesRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
