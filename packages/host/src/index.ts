export { entryPoint, examplesDirectory } from "./entry-points.ts";
export { type MonitorConfig, monitorSchema } from "./monitor-schema.ts";
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
export { implicitStack, type ResolvedStack, resolveStacks } from "./stacks.ts";
export { loadTypescriptPipeline } from "./typescript-pipeline.ts";
export { readYamlDocument, type YamlDocument } from "./yaml-document.ts";
export { type ParsedPipeline, parseYamlPipeline } from "./yaml-pipeline.ts";
