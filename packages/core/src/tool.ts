import type { z } from "zod";
import type { ComponentName, ToolManifest } from "./manifest.ts";
import type { ArtifactStore } from "./ports/artifact-store.ts";
import type { DataValidator } from "./ports/data-validator.ts";
import type { Deployer } from "./ports/deployer.ts";
import type { ImageRegistry } from "./ports/image-registry.ts";
import type { LineageMirror } from "./ports/lineage-mirror.ts";
import type { MetricsSink } from "./ports/metrics-sink.ts";
import type { RegistryMirror } from "./ports/registry-mirror.ts";
import type { Scheduler } from "./ports/scheduler.ts";
import type { Secret, SecretStore } from "./ports/secret-store.ts";
import type { StepRunner } from "./ports/step-runner.ts";
import type { TraceMirror } from "./ports/trace-mirror.ts";
import type { TrackerMirror } from "./ports/tracker-mirror.ts";

/** The port behind each component that a stack opens. */
export interface Ports {
  artifacts: ArtifactStore;
  validator: DataValidator;
  compute: StepRunner;
  tracking: TrackerMirror;
  registry: RegistryMirror;
  lineage: LineageMirror;
  traces: TraceMirror;
  packages: ImageRegistry;
  deploy: Deployer;
  metrics: MetricsSink;
  scheduler: Scheduler;
  secrets: SecretStore;
}
export type OpenableComponent = keyof Ports & ComponentName;

/** What a tool may use of the process that opens it. */
export interface ToolHost {
  project: string;
  projectDirectory: string;
  /** `.espalier` of the project. */
  stateDirectory: string;
  /** Program of the embedded model server and router. */
  servingEntry: string;
  /** Runs when the stack closes, in reverse order. */
  onClose(close: () => void | Promise<void>): void;
  /** A secret of the stack, for the first call and later: a tool's creation asks for none. */
  secret?(name: string): Promise<Secret | undefined>;
  /** Faults of work that nobody waits for. */
  onError?(error: unknown, doing: string): void;
}

/**
 * One tool of one component: data that tells about it, the schema of its `with:`, and how it is made. Making it reaches no network
 * and imports no SDK: that is for the first call. A package of your own exports `tools: Tool[]` and is chosen by `uses: npm:<package>`.
 */
export interface Tool<Component extends OpenableComponent = OpenableComponent, Config = never> {
  manifest: ToolManifest & { component: Component };
  config: z.ZodType<Config>;
  // A method, so that tools of any settings fit into one catalog.
  create(config: Config, host: ToolHost): Ports[Component];
}

/** Infers the settings from the schema, and checks that the port fits the component. */
export function defineTool<Component extends OpenableComponent, Config>(
  component: Component,
  tool: {
    manifest: ToolManifest;
    config: z.ZodType<Config>;
    create(config: Config, host: ToolHost): Ports[Component];
  },
): Tool<Component> {
  // The settings' type has done its work: whoever opens the tool parses them by `config` first.
  return { ...tool, manifest: { ...tool.manifest, component } } as unknown as Tool<Component>;
}
