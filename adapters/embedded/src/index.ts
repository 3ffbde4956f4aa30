export {
  createFilesystemArtifactStore,
  type FilesystemConfig,
  filesystemConfigSchema,
  filesystemManifest,
} from "./filesystem-artifact-store.ts";
export { createLocalFiles } from "./local-files.ts";
