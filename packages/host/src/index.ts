export { answersText, readAnswers } from "./advice/read-answers.ts";
export { stackText } from "./advice/stack-text.ts";
export type { DescribedTool } from "./all-manifests.ts";
export {
  type Catalog,
  catalog,
  embeddedDefaults,
  type MirrorComponent,
  mirrorComponents,
  mirrorDefaults,
} from "./catalog.ts";
export { checkPipelineFile, checkProjectPipeline } from "./check-pipeline.ts";
export { type CompactionResult, type DuckDb, type EmbeddedParts, loadEmbeddedParts } from "./embedded-parts.ts";
export type { EndpointConfig } from "./endpoint-schema.ts";
export { entryPoint, examplesDirectory } from "./entry-points.ts";
export { modelEnvironment } from "./environments/model-environment.ts";
export {
  cacheFolder,
  createPythonEnvironments,
  type PythonEnvironments,
  platformName,
} from "./environments/python-environments.ts";
export { findTool } from "./find-tool.ts";
export { openBase, openLayout, openRegistry, parseBase, type RegistryAccess } from "./images/base-source.ts";
export { hostPlatform } from "./images/host-platform.ts";
export { buildModelImages, type ModelImageRequest, type ModelImages } from "./images/model-image.ts";
export { loadMlflowParts, type MlflowParts } from "./mlflow-parts.ts";
export { type MonitorConfig, monitorSchema } from "./monitor-schema.ts";
export { namedSecrets } from "./named-secrets.ts";
export { checkStack, type OpenStack, openStack, requireStack, type StackContext } from "./open-stack.ts";
export { findPipeline, loadPipelineFile, loadPipelines, wholePipeline } from "./pipelines.ts";
export { findProject, loadProject, type ParsedProject, type Project, parseProject, projectFile } from "./project.ts";
export {
  type ComputeChoice,
  type ProjectConfig,
  projectSchema,
  type StackConfig,
  stackSchema,
  type ToolChoice,
} from "./project-schema.ts";
export { optunaPython } from "./search/optuna-environment.ts";
export { createTrialProposer, type TrialProposer } from "./search/trial-proposer.ts";
export { implicitStack, type ResolvedStack, resolveStacks } from "./stacks.ts";
export { attemptFolder } from "./staging/attempt-folder.ts";
export { readMasked, secretBytes } from "./staging/mask.ts";
export { prepareRun, type RunRequest, type RunSources } from "./staging/prepare-run.ts";
export { createRemoteAttempts, type RemoteAttempts, type RemoteAttemptsOptions } from "./staging/remote-attempts.ts";
export { createStaging, type HostStaging, type StagingOptions, type StepVariables } from "./staging/staging.ts";
export { readToken } from "./staging/token.ts";
export { toolManifests } from "./tool-manifests.ts";
export { loadTypescriptPipeline } from "./typescript-pipeline.ts";
export { placed, readYamlDocument, type YamlDocument } from "./yaml-document.ts";
export { type ParsedPipeline, parseYamlPipeline } from "./yaml-pipeline.ts";
