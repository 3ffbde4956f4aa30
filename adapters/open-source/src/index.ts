export { type KubernetesConfig, kubernetesConfigSchema, kubernetesManifest } from "./kubernetes-config.ts";
export { createKubernetesStepRunner, type KubernetesHost } from "./kubernetes-step-runner.ts";
export { connectMlflow, type MlflowApi, type MlflowConnection, type MlflowCredentials } from "./mlflow-client.ts";
export {
  exportLosses,
  mlflowRegistryConfigSchema,
  mlflowRegistryManifest,
  mlflowTrackingConfigSchema,
  mlflowTrackingManifest,
} from "./mlflow-config.ts";
export { mlflowCredentials } from "./mlflow-credentials.ts";
export { createMlflowReader, type MlflowReader } from "./mlflow-reader.ts";
export { createMlflowRegistryMirror } from "./mlflow-registry-mirror.ts";
export { createMlflowTrackerMirror } from "./mlflow-tracker-mirror.ts";
export { createMlrunsRegistry } from "./mlruns-registry.ts";
export { createMlrunsTracker, type MlrunsTracker } from "./mlruns-tracker.ts";
export { type OciConfig, ociConfigSchema, ociManifest } from "./oci-config.ts";
export type { RegistryCredentials } from "./oci-credentials.ts";
export { createOciImageRegistry, isLoopback } from "./oci-image-registry.ts";
export { createOpenlineageMirror, openlineageConfigSchema, openlineageManifest } from "./openlineage-mirror.ts";
export { createOtlpTraceMirror, otlpConfigSchema, otlpManifest } from "./otlp-trace-mirror.ts";
export { type RayConfig, rayConfigSchema, rayManifest } from "./ray-config.ts";
export type { RayHost } from "./ray-place.ts";
export { createRayStepRunner } from "./ray-step-runner.ts";
export { createS3ArtifactStore } from "./s3-artifact-store.ts";
export { type S3Config, s3ConfigSchema, s3Manifest } from "./s3-config.ts";
export { type SlurmConfig, slurmConfigSchema, slurmManifest } from "./slurm-config.ts";
export { createSlurmStepRunner, type SlurmHost } from "./slurm-step-runner.ts";
