export { createS3ArtifactStore } from "./s3-artifact-store.ts";
export { type S3Config, s3ConfigSchema, s3Manifest } from "./s3-config.ts";
export { type SlurmConfig, slurmConfigSchema, slurmManifest } from "./slurm-config.ts";
export { createSlurmStepRunner, type SlurmHost } from "./slurm-step-runner.ts";
