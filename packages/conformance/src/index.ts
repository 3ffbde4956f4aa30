export { type ArtifactStoreSubject, artifactStoreConformance } from "./artifact-store.ts";
export { type AttemptServer, type ServedAttempt, startAttemptServer } from "./attempt-server.ts";
export { type DataValidatorSubject, dataValidatorConformance } from "./data-validator.ts";
export { type DeployerSubject, deployerConformance } from "./deployer.ts";
export { createDetachedRunner, type DetachedRunnerOptions, whyNotDetached } from "./detached-runner.ts";
export { type ImageRegistrySubject, imageRegistryConformance } from "./image-registry.ts";
export { type MetricsSinkSubject, metricsSinkConformance } from "./metrics-sink.ts";
export {
  columnModel,
  columnSignature,
  identityModel,
  logisticModel,
  matrixSignature,
  slowModel,
  treeModel,
  writeModelFolder,
} from "./onnx-model.ts";
export { type MirroredModel, type RegistryMirrorSubject, registryMirrorConformance } from "./registry-mirror.ts";
export { type SchedulerSubject, schedulerConformance } from "./scheduler.ts";
export { type SecretStoreSubject, secretStoreConformance } from "./secret-store.ts";
export { type OpenedStepRunner, type StepRunnerSubject, stepRunnerConformance } from "./step-runner.ts";
export { caseRunner, codeOf, type Skips, type TestRunner } from "./suite.ts";
export { type MirroredRun, type TrackerMirrorSubject, trackerMirrorConformance } from "./tracker-mirror.ts";
