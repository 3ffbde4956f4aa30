export {
  type Advice,
  advise,
  closePoints,
  type Learning,
  type Outcome,
  type Verdict,
  type WholeAdvice,
} from "./advice/advise.ts";
export { type Answers, answersSchema, criteria, defaultWeights } from "./advice/answers.ts";
export { type Candidate, type Place, places } from "./advice/candidates.ts";
export { range as rangeText } from "./advice/criteria.ts";
export type { Flip } from "./advice/flip.ts";
export { type Ownership, ownershipSchema, type Range } from "./advice/ownership.ts";
export { type Ranked, type Ranking, type RankOptions, type Reason, rank } from "./advice/rank.ts";
export { type Forecasted, type Ledger, type ReviewLine, reviewAdvice } from "./advice/review.ts";
export { skills as knownSkills } from "./advice/skills.ts";
export type { ArtifactRef } from "./artifact.ts";
export { type Artifacts, createArtifacts, isTree } from "./artifacts/artifacts.ts";
export { type CarryTime, carryTime } from "./artifacts/carry-time.ts";
export { type Copied, copyArtifact } from "./artifacts/copy-artifact.ts";
export {
  type CopyFailure,
  type CopyProgress,
  type CopyReport,
  copyArtifacts,
  damagedAmong,
  keysHeldBy,
} from "./artifacts/copy-artifacts.ts";
export { type GcOptions, type GcPlan, planGc, restoreQuarantine, type SweepRecord, sweepGc } from "./artifacts/gc.ts";
export { blobKey } from "./artifacts/keys.ts";
export {
  type ModelManifest,
  type ModelPackage,
  modelArtifactType,
  modelManifest,
  packageModel,
} from "./artifacts/model-manifest.ts";
export type { PutStreamOptions } from "./artifacts/publish-stream.ts";
export { claimStore, readStoreOwner, storeOwnerKey } from "./artifacts/store-owner.ts";
export {
  collect as collectBytes,
  eachConcurrently,
  streamOf,
  verified as verifiedStream,
} from "./artifacts/streams.ts";
export { type BuiltTree, buildTree, type TreeEntry } from "./artifacts/tree.ts";
export {
  type NamedRoot,
  type StoreDamage,
  type StoreReport,
  setAsideDamaged,
  verifyStore,
} from "./artifacts/verify-store.ts";
export { type BuiltinDeclaration, builtinImplementation, type DataBuiltin } from "./builtin.ts";
export { type BuiltinName, builtinOutputs } from "./builtin-outputs.ts";
export {
  canonicalJson,
  type Digest,
  digestOfBytes,
  digestOfJson,
  isDigest,
  type Json,
  type JsonObject,
} from "./canonical-json.ts";
export { closest, didYouMean } from "./closest.ts";
export {
  compileDefinition,
  definePipeline,
  isPipelineDefinition,
  type OutputReference,
  type PipelineBuilder,
  type PipelineDefinition,
  type StepHandle,
} from "./define-pipeline.ts";
export {
  defineStep,
  isTypescriptStepValue,
  outputType,
  type TypescriptStep,
  type TypescriptStepContext,
} from "./define-step.ts";
export { type CommentFacts, pullRequestComment } from "./delivery/comment.ts";
export { type Delivery, judgingSteps } from "./delivery/delivery.ts";
export { githubWorkflow, pinnedActions } from "./delivery/github-workflow.ts";
export { gitlabPipeline } from "./delivery/gitlab-pipeline.ts";
export { bestTrial } from "./engine/best-trial.ts";
export { createEngine, type Engine } from "./engine/engine.ts";
export { type Failpoint, failpoint, failpoints } from "./engine/failpoint.ts";
export type {
  Clock,
  ComputeTarget,
  EngineArtifacts,
  EngineOptions,
  RecordStep,
  RecordStepContext,
  RecordStepResult,
  SettledStep,
  StepRecorder,
  ToldTrial,
} from "./engine/options.ts";
export { renderCommand } from "./engine/order.ts";
export {
  type ErrorCode,
  type ErrorDetails,
  EspalierError,
  type EspalierErrorOptions,
  errorTable,
  isEspalierError,
  toEspalierError,
} from "./errors.ts";
export { type Fault, faultsError, jsonPointer, pointerPath } from "./fault.ts";
export {
  type CanaryLook,
  canaryLook,
  type FailureCounts,
  lookAlpha,
  type Spending,
  spentAlpha,
} from "./gate/alpha-spending.ts";
export { bootstrapInterval, type Interval, resamplingGroups } from "./gate/bootstrap.ts";
export { type GroupedMetric, type Groups, groupMetric } from "./gate/grouped-metric.ts";
export { holmAdjust } from "./gate/holm.ts";
export { type GateInput, judgeCandidate, judgeMetrics } from "./gate/judge.ts";
export {
  type CalibrationBin,
  calibrationError,
  calibrationTable,
  type ResampledMetric,
  resampledMetrics,
} from "./gate/metrics.ts";
export { pointMetrics } from "./gate/point-metrics.ts";
export { type GatePolicy, gatePolicySchema } from "./gate/policy.ts";
export { type RandomInteger, seededRandom } from "./gate/random.ts";
export type { CodedColumn, ScoredRows, Task } from "./gate/scored-rows.ts";
export { logGamma, normalCdf, normalQuantile, upperGamma } from "./gate/special-functions.ts";
export type { BoundVerdict, Difference, GateVerdict, SliceVerdict } from "./gate/verdict.ts";
export { type PipelineAuthoring, pipelineAuthoringSchema, type StepAuthoring } from "./ir/authoring.ts";
export {
  type CacheKey,
  type CacheKeyFacts,
  cacheKey,
  cacheKeyVersion,
  describeKeyPartChange,
  diffKeyParts,
  environmentDigest,
  environmentSnapshot,
  type KeyPartChange,
  visibleParams,
} from "./ir/cache-key.ts";
export { type CelReads, celReads, evaluateCel, evaluateItems, evaluateWhen } from "./ir/cel.ts";
export type { CheckOptions } from "./ir/checks/context.ts";
export { cronFault } from "./ir/checks/schedule.ts";
export { checkPipeline } from "./ir/checks.ts";
export { authoringNames, compilePipeline } from "./ir/compile.ts";
export { type CommandExpression, commandExpressions, parseCommand } from "./ir/expressions.ts";
export { type Forecast, type ForeseenStep, foresee, median } from "./ir/foresee.ts";
export { dependenciesOf } from "./ir/graph.ts";
export { isTypescriptStep, normalizePipeline, pipelineDigest, typescriptTarget } from "./ir/normalize.ts";
export {
  type ArtifactType,
  artifactTypeSchema,
  type Determinism,
  determinismSchema,
  type EnvironmentIr,
  environmentSchema,
  type FailureCause,
  failureCauseSchema,
  identifierSchema,
  jsonSchema,
  mapSchema,
  nameSchema,
  notifySchema,
  type OutputIr,
  outputSchema,
  type ParameterValue,
  type PipelineIr,
  parameterSchema,
  pipelineSchema,
  type ResourcesIr,
  type RetryIr,
  resourcesSchema,
  retrySchema,
  type ScheduleIr,
  type StepIr,
  scheduleSchema,
  stepSchema,
  type TuneIr,
} from "./ir/pipeline.ts";
export {
  type PlanFacts,
  type PlannableRun,
  type PlannedAction,
  type PlannedStep,
  planRun,
} from "./ir/plan.ts";
export { recordBuiltins } from "./ir/record-builtins.ts";
export { parseProjectPath, parseReference, type Reference, tryParseReference } from "./ir/references.ts";
export { type Replacement, renderShellCommand } from "./ir/render-command.ts";
export { runScope } from "./ir/run-scope.ts";
export { trialsOf } from "./ir/trials.ts";
export { durationPattern, parseDurationSeconds, parseSizeBytes, sizePattern } from "./ir/units.ts";
export { parseLongJson, rawInteger } from "./long-json.ts";
export {
  type ComponentName,
  componentSchema,
  manifestSchema,
  type Provider,
  providerSchema,
  type ToolManifest,
} from "./manifest.ts";
export { type Evidence, type EvidenceKind, evidenceKinds, type Proof } from "./maturity/evidence.ts";
export { type Maturity, maturityOf } from "./maturity/maturity.ts";
export {
  type CapturedField,
  type CaptureHeader,
  type CaptureLine,
  captureHeaderSchema,
  servingHeaders,
} from "./model/capture.ts";
export {
  type RolloutSettings,
  type RolloutStrategy,
  rolloutSettingsSchema,
  rolloutStrategies,
  strategyNames,
  strategyOf,
} from "./model/rollout-settings.ts";
export { type OutputValues, scoreOutput, scoresOf } from "./model/score.ts";
export {
  type Announcement,
  announcementSchema,
  type CustomRuntime,
  customRuntimeSchema,
  durationBounds,
  durationQuantile,
  type RoutedVersion,
  type RouterState,
  type RouterStatus,
  type RoutingRule,
  routedVersionSchema,
  routerStateSchema,
  routerStatusSchema,
  routingRuleSchema,
  type ServingLimits,
  type ShadowCounts,
  servingLimitsSchema,
} from "./model/serving-state.ts";
export {
  type ColumnType,
  columnDatatype,
  columnTypeSchema,
  type InputColumn,
  inputColumnSchema,
  type ModelSignature,
  modelSignatureSchema,
} from "./model/signature.ts";
export { grafanaDashboard } from "./observability/grafana.ts";
export {
  alertmanagerConfiguration,
  prometheusConfiguration,
  prometheusRules,
  rulesFile,
} from "./observability/prometheus.ts";
export type { Watched } from "./observability/watched.ts";
export { addReferrer, attach, readReferrers, referrersTag, subjectOf } from "./oci/attachments.ts";
export { type BaseImage, environmentOf, openBaseImage } from "./oci/base-image.ts";
export {
  billOfMaterials,
  billStatement,
  cyclonedxPredicateType,
  cyclonedxType,
  type ImageComponent,
  type ImageFacts,
  inTotoType,
  provenanceStatement,
  slsaPredicateType,
} from "./oci/documents.ts";
export {
  buildImage,
  buildIndex,
  type Image,
  type ImagePlatform,
  parsePlatform,
  printPlatform,
} from "./oci/image.ts";
export {
  type ImageReference,
  isRepositoryName,
  isTag,
  parseImageReference,
  printImageReference,
} from "./oci/image-reference.ts";
export { fileLayer, type ImageLayer } from "./oci/layer.ts";
export {
  dockerIndexType,
  dockerManifestType,
  ociEmptyContent,
  ociEmptyDescriptor,
  ociIndexType,
  ociManifestType,
} from "./oci/media-types.ts";
export { type PushProgress, pushImage, putChecked, putContent } from "./oci/push-image.ts";
export { signImage } from "./oci/sign-image.ts";
export { readSigningKey, type SigningKey } from "./oci/signature.ts";
export { type LayerEntry, tarArchive } from "./oci/tar.ts";
export { type AirflowOrchestration, airflowDag, airflowLosses } from "./orchestrators/airflow-dag.ts";
export { type ArgoOrchestration, argoLosses, argoWorkflows } from "./orchestrators/argo-workflow.ts";
export type { Loss } from "./orchestrators/orchestration.ts";
export type { ArtifactStore, ByteStream, CallContext, GetOptions, PutOptions } from "./ports/artifact-store.ts";
export type { DataValidator, RuleResult, ValidationReport, ValidationRequest } from "./ports/data-validator.ts";
export type {
  CaptureSettings,
  Deployer,
  EndpointSpec,
  EndpointStatus,
  ServedVersion,
  ServerSettings,
  VersionStatus,
} from "./ports/deployer.ts";
export type { ImageRegistry, OciDescriptor, PutBlobOptions } from "./ports/image-registry.ts";
export type { LineageMirror } from "./ports/lineage-mirror.ts";
export type { LocalFile, LocalFiles, WriteIntoFolder } from "./ports/local-files.ts";
export type { MetricSample, MetricsSink } from "./ports/metrics-sink.ts";
export type { RegistryMirror, VersionContent } from "./ports/registry-mirror.ts";
export type { ScheduleEntry, Scheduler } from "./ports/scheduler.ts";
export { Secret, type SecretStore } from "./ports/secret-store.ts";
export type { CollectedOutputs, Staging, WorkOrder } from "./ports/staging.ts";
export type { LocalWork, RemoteWork, StepRunner, StepSpec, StepStatus } from "./ports/step-runner.ts";
export type { TraceMirror } from "./ports/trace-mirror.ts";
export type { RemoteHome, RunContent, TrackerMirror } from "./ports/tracker-mirror.ts";
export type {
  AttemptRow,
  CachedResult,
  EngineChange,
  EngineRecord,
  Lease,
  NewRun,
  RunOptions,
  RunRow,
  StepRow,
  StoredError,
  Transition,
  TrialValues,
} from "./record/engine-record.ts";
export {
  type AttemptState,
  attemptStates,
  type RunState,
  runStates,
  type StepState,
  stepStates,
  terminalAttemptStates,
  terminalRunStates,
  terminalStepStates,
} from "./record/states.ts";
export { keysAt, type Salvaged, salvage } from "./schema-faults.ts";
export { type ComponentDifference, type StackDifference, stackDifference } from "./stack-difference.ts";
export { type DataStepContext, type StepEvent, stepEventSchema, stepVariables } from "./step-contract.ts";
export { type LineageEvent, presentEvent, runEvents, stepEvents } from "./telling/openlineage.ts";
export { type RunSpan, runSpans, stepSpans } from "./telling/spans.ts";
export type { ToldRun } from "./telling/told-run.ts";
export { defineTool, type OpenableComponent, type Ports, type Tool, type ToolHost } from "./tool.ts";
export type {
  Lifecycle,
  TrackedExperiment,
  TrackedFile,
  TrackedInput,
  TrackedModel,
  TrackedModelLink,
  TrackedModelMetric,
  TrackedPoint,
  TrackedRegisteredModel,
  TrackedRun,
  TrackedTags,
  TrackedVersion,
} from "./tracked.ts";
export type { SourceModel, SourceRun, TrackedSource } from "./tracked-source.ts";
export { ulid } from "./ulid.ts";
