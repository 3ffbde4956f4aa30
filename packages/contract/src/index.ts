export {
  type CallInput,
  type CallOutput,
  type Client,
  type ClientEvent,
  type ClientOptions,
  createClient,
} from "./client.ts";
export { type ErrorBody, errorBodySchema, errorFromResponse } from "./error-body.ts";
export {
  type LauncherAppendReply,
  type LauncherDownload,
  type LauncherExit,
  type LauncherManifest,
  type LauncherOutputs,
  type LauncherOutputsReply,
  launcherAppendQuerySchema,
  launcherAppendReplySchema,
  launcherExitSchema,
  launcherManifestSchema,
  launcherOutputsReplySchema,
  launcherOutputsSchema,
  launcherRunsSchema,
} from "./launcher.ts";
export {
  type Approval,
  type AuditRow,
  approvalSchema,
  auditSchema,
  type Token,
  tokenSchema,
} from "./resources/access.ts";
export type { AdviceDocument, AdviceQuestions, MilestoneAdvice } from "./resources/advice.ts";
export {
  type ArtifactFile,
  artifactFileSchema,
  type RunArtifact,
  runArtifactSchema,
} from "./resources/artifacts.ts";
export { type Curve, curveSchema } from "./resources/curves.ts";
export {
  type Dataset,
  type DatasetDiff,
  type DatasetVersion,
  datasetDiffSchema,
  datasetSchema,
  datasetVersionSchema,
} from "./resources/datasets.ts";
export {
  type Endpoint,
  type EndpointChange,
  endpointChangeSchema,
  endpointSchema,
  type Rollout,
  rolloutSchema,
  strategySchema,
} from "./resources/endpoints.ts";
export { type ChangeEvent, type ChangeTopic, changeTopics } from "./resources/events.ts";
export { type LogChunk, logChunkSchema } from "./resources/logs.ts";
export {
  type Model,
  type ModelVersion,
  modelSchema,
  modelVersionSchema,
  type VerdictInfo,
  verdictSchema,
} from "./resources/models.ts";
export { type Monitor, type MonitorReport, monitorReportSchema, monitorSchema } from "./resources/monitors.ts";
export type { Move, MovePlan } from "./resources/moves.ts";
export {
  type DoctorReport,
  doctorReportSchema,
  type GcReport,
  gcReportSchema,
  type Lineage,
  lineageSchema,
} from "./resources/operations.ts";
export { type PackagedImage, type Packaging, packagingSchema } from "./resources/packagings.ts";
export {
  type AppliedEndpoint,
  appliedEndpointSchema,
  type EndpointPlan,
  endpointPlanSchema,
  type Plan,
  planSchema,
} from "./resources/plan.ts";
export {
  type PipelineInfo,
  type ProjectInfo,
  pipelineInfoSchema,
  projectInfoSchema,
  type StackInfo,
  stackInfoSchema,
} from "./resources/project.ts";
export {
  type Attempt,
  attemptSchema,
  type CreateRun,
  createRunSchema,
  type Metric,
  metricSchema,
  type Run,
  type RunComparison,
  type RunDetail,
  type RunEvent,
  type RunStep,
  runDetailSchema,
  runEventSchema,
  runSchema,
  runStepSchema,
} from "./resources/runs.ts";
export { type ScheduleInfo, scheduleInfoSchema } from "./resources/schedules.ts";
export { type Simulation, simulationSchema } from "./resources/simulations.ts";
export { type MirrorStatus, mirrorStatusSchema, type Transfer, transferSchema } from "./resources/transfers.ts";
export {
  apiPrefix,
  type Page,
  type Role,
  type RouteDefinition,
  type RouteKind,
  type RouteMethod,
  type RoutePolicy,
  roleSchema,
} from "./route.ts";
export { type RouteName, type Routes, routes } from "./routes.ts";
