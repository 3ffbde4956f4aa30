import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** Webhooks of registry events. */
export function webhooksRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
