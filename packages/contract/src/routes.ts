import { accessRoutes } from "./resources/access.ts";
import { adviceRoutes } from "./resources/advice.ts";
import { artifactRoutes } from "./resources/artifacts.ts";
import { curveRoutes } from "./resources/curves.ts";
import { datasetRoutes } from "./resources/datasets.ts";
import { endpointRoutes } from "./resources/endpoints.ts";
import { eventRoutes } from "./resources/events.ts";
import { logRoutes } from "./resources/logs.ts";
import { modelRoutes } from "./resources/models.ts";
import { monitorRoutes } from "./resources/monitors.ts";
import { moveRoutes } from "./resources/moves.ts";
import { operationRoutes } from "./resources/operations.ts";
import { packagingRoutes } from "./resources/packagings.ts";
import { planRoutes } from "./resources/plan.ts";
import { projectRoutes } from "./resources/project.ts";
import { runRoutes } from "./resources/runs.ts";
import { scheduleRoutes } from "./resources/schedules.ts";
import { simulationRoutes } from "./resources/simulations.ts";
import { transferRoutes } from "./resources/transfers.ts";

/** The whole API by name: server, client and OpenAPI document are made from it. */
export const routes = {
  ...projectRoutes,
  ...runRoutes,
  ...curveRoutes,
  ...logRoutes,
  ...planRoutes,
  ...artifactRoutes,
  ...datasetRoutes,
  ...modelRoutes,
  ...packagingRoutes,
  ...endpointRoutes,
  ...monitorRoutes,
  ...simulationRoutes,
  ...scheduleRoutes,
  ...accessRoutes,
  ...operationRoutes,
  ...adviceRoutes,
  ...moveRoutes,
  ...transferRoutes,
  ...eventRoutes,
};

export type Routes = typeof routes;
export type RouteName = keyof Routes;
