import type { ControlPlane } from "../../control-plane.ts";
import type { MlflowRoute } from "../mlflow-route.ts";
import { assessmentsRoutes } from "./assessments.ts";
import { experimentsRoutes } from "./experiments.ts";
import { loggedModelsRoutes } from "./logged-models.ts";
import { loggingRoutes } from "./logging.ts";
import { metricHistoryRoutes } from "./metric-history.ts";
import { modelVersionsRoutes } from "./model-versions.ts";
import { registeredModelsRoutes } from "./registered-models.ts";
import { runArtifactsRoutes } from "./run-artifacts.ts";
import { runInputsRoutes } from "./run-inputs.ts";
import { runsRoutes } from "./runs.ts";
import { searchRoutes } from "./search.ts";
import { tracesRoutes } from "./traces.ts";
import { webhooksRoutes } from "./webhooks.ts";

/** Every JSON route of the face, area by area. */
export function mlflowRoutes(plane: ControlPlane): MlflowRoute[] {
  return [
    ...experimentsRoutes(plane),
    ...runsRoutes(plane),
    ...runInputsRoutes(plane),
    ...loggingRoutes(plane),
    ...metricHistoryRoutes(plane),
    ...searchRoutes(plane),
    ...registeredModelsRoutes(plane),
    ...modelVersionsRoutes(plane),
    ...webhooksRoutes(plane),
    ...runArtifactsRoutes(plane),
    ...loggedModelsRoutes(plane),
    ...tracesRoutes(plane),
    ...assessmentsRoutes(plane),
  ];
}
