import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** Registered models, their tags and aliases. */
export function registeredModelsRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
