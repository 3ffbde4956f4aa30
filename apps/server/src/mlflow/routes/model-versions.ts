import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** Versions of registered models: made, found, moved between stages, downloaded. */
export function modelVersionsRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
