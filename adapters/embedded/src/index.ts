export {
  type CompactedFile,
  type CompactionResult,
  captureColumn,
  compactCapture,
  compactedDirectory,
} from "./capture-compaction.ts";
export { createCronScheduler, cronSchedulerConfigSchema, cronSchedulerManifest } from "./cron-scheduler.ts";
export { duesBetween, nextDue } from "./cron-times.ts";
export { type ColumnBatch, type DuckDb, type DuckDbOptions, openDuckDb, type Row } from "./duckdb-client.ts";
export {
  createDuckdbDataValidator,
  duckdbDataValidatorConfig,
  duckdbDataValidatorManifest,
} from "./duckdb-data-validator.ts";
export { duckdbEngine, duckdbVersion } from "./duckdb-version.ts";
export {
  createEnvironmentSecretStore,
  environmentSecretsConfigSchema,
  environmentSecretsManifest,
} from "./environment-secret-store.ts";
export {
  createFileSecretStore,
  type FileSecretsConfig,
  fileSecretsConfigSchema,
  fileSecretsManifest,
} from "./file-secret-store.ts";
export {
  createFilesystemArtifactStore,
  type FilesystemConfig,
  filesystemConfigSchema,
  filesystemManifest,
} from "./filesystem-artifact-store.ts";
export { createLocalFiles } from "./local-files.ts";
export {
  createLocalMetricsSink,
  type LocalMetricsConfig,
  localMetricsConfigSchema,
  localMetricsManifest,
} from "./local-metrics-sink.ts";
export {
  createOciLayout,
  createOciLayoutImageRegistry,
  type OciLayoutConfig,
  ociLayoutConfigSchema,
  ociLayoutManifest,
  onlyImageIn,
} from "./oci-layout-image-registry.ts";
export {
  createProcessDeployer,
  type ProcessDeployer,
  type ProcessDeployerConfig,
  type ProcessDeployerHost,
  processDeployerConfig,
  processDeployerManifest,
} from "./process-deployer.ts";
export { createProcessRunner } from "./process-runner.ts";
export { dataBuiltins } from "./steps/registry.ts";
export { attachTable, type Column, tableSource } from "./steps/tables.ts";
