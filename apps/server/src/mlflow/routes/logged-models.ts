import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";

/** Models as MLflow 3 logs them. */
export function loggedModelsRoutes(_plane: ControlPlane): MlflowRoute[] {
  return [];
}
