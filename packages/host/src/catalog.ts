import { join, resolve } from "node:path";
import { defineTool, type OpenableComponent, type Tool, type ToolHost, type ToolManifest } from "@espalier/core";
import { z } from "zod";
import { entryPoint } from "./entry-points.ts";

/** A tool is loaded when it is looked at; its SDK only when it is used. */
type LazyTool<Component extends OpenableComponent> = () => Promise<Tool<Component, never>>;

export type Catalog = { readonly [Component in OpenableComponent]: Readonly<Record<string, LazyTool<Component>>> };

const embedded = () => import("@espalier/embedded");
const openSource = () => import("@espalier/open-source");

/** A relative path is of the project, wherever the control plane was started. */
function folderOf(path: string | undefined, byDefault: string, { projectDirectory, stateDirectory }: ToolHost): string {
  return path === undefined ? join(stateDirectory, byDefault) : resolve(projectDirectory, path);
}

const noSettings = z.strictObject({});

const processManifest: ToolManifest = {
  tool: "process",
  provider: "embedded",
  component: "compute",
  milestone: 5,
  summary: "Steps as processes of this machine, each in a folder of its own, which outlive the control plane",
  capabilities: ["shares-files"],
  skills: [],
  ownership: {
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    carries: { trainingHours: 12, trainingHoursAMonth: 300 },
    lockIn: 0,
    wayOut: "steps are commands that run anywhere",
    source: "nothing is added to run or to pay",
    asOf: "2026-11-27",
  },
  cost: { money: "none", operations: "none" },
  verified: { label: "real", against: "Linux", live: "not applicable" },
};

/** The one list of the tools that come with Espalier: component, then tool. */
export const catalog: Catalog = {
  artifacts: {
    filesystem: async () => {
      const { createFilesystemArtifactStore, filesystemConfigSchema, filesystemManifest } = await embedded();
      return defineTool("artifacts", {
        manifest: filesystemManifest,
        config: filesystemConfigSchema.partial({ path: true }),
        create: ({ path, ...rest }, host) =>
          createFilesystemArtifactStore({
            ...rest,
            path: folderOf(path, "store", host),
          }),
      });
    },
    s3: async () => {
      const { createS3ArtifactStore, s3ConfigSchema, s3Manifest } = await openSource();
      return defineTool("artifacts", {
        manifest: s3Manifest,
        config: s3ConfigSchema,
        create: (config) => createS3ArtifactStore(config),
      });
    },
  },
  validator: {
    duckdb: async () => {
      const { createDuckdbDataValidator, duckdbDataValidatorConfig, duckdbDataValidatorManifest } = await embedded();
      return defineTool("validator", {
        manifest: duckdbDataValidatorManifest,
        config: duckdbDataValidatorConfig,
        create: createDuckdbDataValidator,
      });
    },
  },
  compute: {
    process: async () => {
      const { createProcessRunner } = await embedded();
      return defineTool("compute", {
        manifest: processManifest,
        config: noSettings,
        create: (_, host) => createProcessRunner({ attemptsFolder: join(host.stateDirectory, "attempts") }),
      });
    },
    ray: async () => {
      const { createRayStepRunner, rayConfigSchema, rayManifest } = await openSource();
      return defineTool("compute", {
        manifest: rayManifest,
        config: rayConfigSchema,
        create: (config) =>
          createRayStepRunner(config, { launcher: entryPoint("launcher"), driver: entryPoint("ray-driver") }),
      });
    },
    kubernetes: async () => {
      const { createKubernetesStepRunner, kubernetesConfigSchema, kubernetesManifest } = await openSource();
      return defineTool("compute", {
        manifest: kubernetesManifest,
        config: kubernetesConfigSchema,
        create: (config) => createKubernetesStepRunner(config, { launcher: entryPoint("launcher") }),
      });
    },
    slurm: async () => {
      const { createSlurmStepRunner, slurmConfigSchema, slurmManifest } = await openSource();
      return defineTool("compute", {
        manifest: slurmManifest,
        config: slurmConfigSchema,
        create: (config) => createSlurmStepRunner(config, { launcher: entryPoint("launcher") }),
      });
    },
  },
  tracking: {
    mlflow: async () => {
      const {
        connectMlflow,
        createMlflowTrackerMirror,
        mlflowCredentials,
        mlflowTrackingConfigSchema,
        mlflowTrackingManifest,
      } = await openSource();
      return defineTool("tracking", {
        manifest: mlflowTrackingManifest,
        config: mlflowTrackingConfigSchema,
        create: (config, host) =>
          createMlflowTrackerMirror(
            connectMlflow({ uri: config.tracking_uri, credentials: mlflowCredentials(config, "tracking", host) }),
            {
              project: host.project,
              files: config.artifacts,
              ...(config.experiment_prefix === undefined ? {} : { experimentPrefix: config.experiment_prefix }),
            },
          ),
      });
    },
  },
  registry: {
    mlflow: async () => {
      const {
        connectMlflow,
        createMlflowRegistryMirror,
        mlflowCredentials,
        mlflowRegistryConfigSchema,
        mlflowRegistryManifest,
      } = await openSource();
      return defineTool("registry", {
        manifest: mlflowRegistryManifest,
        config: mlflowRegistryConfigSchema,
        create: (config, host) =>
          createMlflowRegistryMirror(
            connectMlflow({ uri: config.tracking_uri, credentials: mlflowCredentials(config, "registry", host) }),
            { project: host.project, files: config.artifacts },
          ),
      });
    },
  },
  lineage: {
    openlineage: async () => {
      const { createOpenlineageMirror, openlineageConfigSchema, openlineageManifest } = await openSource();
      return defineTool("lineage", {
        manifest: openlineageManifest,
        config: openlineageConfigSchema,
        create: createOpenlineageMirror,
      });
    },
  },
  traces: {
    otlp: async () => {
      const { createOtlpTraceMirror, otlpConfigSchema, otlpManifest } = await openSource();
      return defineTool("traces", { manifest: otlpManifest, config: otlpConfigSchema, create: createOtlpTraceMirror });
    },
  },
  packages: {
    "oci-layout": async () => {
      const { createOciLayoutImageRegistry, ociLayoutConfigSchema, ociLayoutManifest } = await embedded();
      return defineTool("packages", {
        manifest: ociLayoutManifest,
        config: ociLayoutConfigSchema.partial({ path: true }),
        create: ({ path }, host) => createOciLayoutImageRegistry({ path: folderOf(path, "packages", host) }),
      });
    },
    oci: async () => {
      const { createOciImageRegistry, ociConfigSchema, ociManifest } = await openSource();
      return defineTool("packages", {
        manifest: ociManifest,
        config: ociConfigSchema,
        create: (config, host) => createOciImageRegistry(config, host),
      });
    },
  },
  deploy: {
    process: async () => {
      const { createProcessDeployer, processDeployerConfig, processDeployerManifest } = await embedded();
      return defineTool("deploy", {
        manifest: processDeployerManifest,
        config: processDeployerConfig,
        create: (config, host) => {
          const directory = join(host.stateDirectory, "endpoints");
          const deployer = createProcessDeployer({ directory, servingEntry: host.servingEntry }, config);
          host.onClose(() => deployer.close());
          return deployer;
        },
      });
    },
  },
  metrics: {
    local: async () => {
      const { createLocalMetricsSink, localMetricsConfigSchema, localMetricsManifest } = await embedded();
      return defineTool("metrics", {
        manifest: localMetricsManifest,
        config: localMetricsConfigSchema.partial({ path: true }),
        create: ({ path, ...rest }, host) => createLocalMetricsSink({ ...rest, path: folderOf(path, "metrics", host) }),
      });
    },
  },
  scheduler: {
    cron: async () => {
      const { createCronScheduler, cronSchedulerConfigSchema, cronSchedulerManifest } = await embedded();
      return defineTool("scheduler", {
        manifest: cronSchedulerManifest,
        config: cronSchedulerConfigSchema,
        create: (_, host) => createCronScheduler((error, id) => host.onError?.(error, `firing the schedule ${id}`)),
      });
    },
  },
  secrets: {
    file: async () => {
      const { createEnvironmentSecretStore, createFileSecretStore, fileSecretsConfigSchema, fileSecretsManifest } =
        await embedded();
      return defineTool("secrets", {
        manifest: fileSecretsManifest,
        config: fileSecretsConfigSchema.partial({ path: true }),
        create: ({ path }, host) =>
          createFileSecretStore({ path: folderOf(path, "secrets", host) }, createEnvironmentSecretStore()),
      });
    },
    environment: async () => {
      const { createEnvironmentSecretStore, environmentSecretsConfigSchema, environmentSecretsManifest } =
        await embedded();
      return defineTool("secrets", {
        manifest: environmentSecretsManifest,
        config: environmentSecretsConfigSchema,
        create: () => createEnvironmentSecretStore(),
      });
    },
  },
};

/** Components whose tool is a mirror of the record: where a stack names none, there is none. */
export const mirrorComponents = ["tracking", "registry", "lineage", "traces"] as const;
export type MirrorComponent = (typeof mirrorComponents)[number];

/** What such a line means when it names no tool. */
export const mirrorDefaults: Readonly<Record<MirrorComponent, string>> = {
  tracking: "mlflow",
  registry: "mlflow",
  lineage: "openlineage",
  traces: "otlp",
};

/** What a stack uses where it says nothing. */
export const embeddedDefaults: Readonly<Record<Exclude<OpenableComponent, MirrorComponent>, string>> = {
  artifacts: "filesystem",
  validator: "duckdb",
  compute: "process",
  packages: "oci-layout",
  deploy: "process",
  metrics: "local",
  scheduler: "cron",
  secrets: "file",
};
