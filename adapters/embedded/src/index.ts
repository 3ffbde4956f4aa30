export {
  createDuckdbDataValidator,
  duckdbDataValidatorConfig,
  duckdbDataValidatorManifest,
} from "./duckdb-data-validator.ts";
export {
  createFilesystemArtifactStore,
  type FilesystemConfig,
  filesystemConfigSchema,
  filesystemManifest,
} from "./filesystem-artifact-store.ts";
export { createLocalFiles } from "./local-files.ts";
export { createProcessRunner } from "./process-runner.ts";
export { dataBuiltins } from "./steps/registry.ts";
