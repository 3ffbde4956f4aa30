import type { ControlPlane } from "../control-plane.ts";
import type { Handlers } from "../http/handler.ts";
import { accessHandlers } from "./access.ts";
import { adviceHandlers } from "./advice.ts";
import { approvalHandlers } from "./approvals.ts";
import { artifactHandlers } from "./artifacts.ts";
import { datasetHandlers } from "./datasets.ts";
import { endpointHandlers } from "./endpoints.ts";
import { eventHandlers } from "./events.ts";
import { logHandlers } from "./logs.ts";
import { modelHandlers } from "./models.ts";
import { monitorHandlers } from "./monitors.ts";
import { moveHandlers } from "./moves.ts";
import { operationHandlers } from "./operations.ts";
import { packagingHandlers } from "./packagings.ts";
import { planHandlers } from "./plan.ts";
import { projectHandlers } from "./project.ts";
import { reportHandlers } from "./report.ts";
import { runHandlers } from "./runs.ts";
import { scheduleHandlers } from "./schedules.ts";
import { simulationHandlers } from "./simulations.ts";
import { transferHandlers } from "./transfers.ts";

/** Every route of the contract by its name. */
export function allHandlers(plane: ControlPlane): Handlers {
  return {
    ...projectHandlers(plane),
    ...planHandlers(plane),
    ...runHandlers(plane),
    ...logHandlers(plane),
    ...artifactHandlers(plane),
    ...datasetHandlers(plane),
    ...modelHandlers(plane),
    ...packagingHandlers(plane),
    ...adviceHandlers(plane),
    ...moveHandlers(plane),
    ...endpointHandlers(plane),
    ...scheduleHandlers(plane),
    ...approvalHandlers(plane),
    ...accessHandlers(plane),
    ...operationHandlers(plane),
    ...monitorHandlers(plane),
    ...simulationHandlers(plane),
    ...transferHandlers(plane),
    ...reportHandlers(plane),
    ...eventHandlers(plane),
  };
}
