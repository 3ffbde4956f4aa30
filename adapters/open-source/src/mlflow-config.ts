import type { ToolManifest } from "@espalier/core";
import { z } from "zod";

const connectionShape = {
  tracking_uri: z
    .url({ protocol: /^https?$/ })
    .refine((address) => !/^[^/]*\/\/[^/]*@/.test(address), "credentials come from secrets, not in the address")
    .describe("Address of the MLflow server."),
  token_secret: z.string().min(1).optional().describe("Name of the secret that holds a bearer token."),
  username: z.string().min(1).optional().describe("For basic authentication, with `password_secret`."),
  password_secret: z.string().min(1).optional().describe("Name of the secret that holds the password."),
};

function oneWayIn(config: { token_secret?: unknown; username?: unknown; password_secret?: unknown }): boolean {
  const basic = config.username !== undefined || config.password_secret !== undefined;
  if (!basic) return true;
  return config.token_secret === undefined && config.username !== undefined && config.password_secret !== undefined;
}
const oneWayMessage = "either `token_secret`, or `username` and `password_secret`";

export const mlflowTrackingConfigSchema = z
  .strictObject({
    ...connectionShape,
    experiment_prefix: z.string().optional().describe("Put before the names of experiments over there."),
    artifacts: z.boolean().default(true).describe("Whether files of runs are carried too."),
  })
  .refine(oneWayIn, oneWayMessage);

export const mlflowRegistryConfigSchema = z
  .strictObject({
    ...connectionShape,
    artifacts: z.boolean().default(true).describe("Whether the files of versions are carried too."),
  })
  .refine(oneWayIn, oneWayMessage);
export type MlflowRegistryConfig = z.infer<typeof mlflowRegistryConfigSchema>;

const shared: Pick<ToolManifest, "provider" | "skills" | "ownership" | "cost" | "verified"> = {
  provider: "open-source",
  skills: ["linux", "mlflow"],
  ownership: {
    place: "own servers",
    setUpHours: [2, 8],
    hoursAMonth: [1, 4],
    dollarsAMonth: [20, 80],
    lockIn: 0,
    wayOut: "a mirror: the record stays here",
    source: "estimate of this project, 2026-11; prices of small rented servers",
    asOf: "2026-11-27",
  },
  cost: { money: "a server and its database", operations: "one MLflow server" },
  verified: { label: "real", against: "mlflow server 3.17.2 and 2.22.5", live: "not applicable" },
};

export const mlflowTrackingManifest: ToolManifest = {
  ...shared,
  tool: "mlflow",
  component: "tracking",
  milestone: 6,
  summary: "A mirror of experiments, runs and their files in an MLflow server",
  capabilities: ["mirror", "files"],
  losses: [
    "run, experiment and logged-model ids are minted over there; ours are tags (espalier.run_id, espalier.experiment_id, espalier.model_id)",
    "a parameter that has another value over there keeps it: MLflow's parameters can not change",
    "infinite metric values become the greatest double, as in MLflow's own database",
    "parameters and tags beyond MLflow's lengths are cut",
    "states, events, logs and lineage of pipelines stay here; engine parameters are tags",
    "a data set that the server knows by name and digest keeps the source that it was first told with",
    "traces and assessments are not carried",
    "a change that was made over there is not brought back",
  ],
};

export const mlflowRegistryManifest: ToolManifest = {
  ...shared,
  tool: "mlflow",
  component: "registry",
  milestone: 8,
  summary: "A mirror of registered models, versions, aliases and their content in an MLflow server",
  capabilities: ["mirror", "files"],
  losses: [
    "version numbers are minted over there; ours are tags (espalier.version)",
    "the content of a version lies with a run of the experiment `espalier-models`, for MLflow accepts no other place",
    "gate verdicts are told as tags, their reports stay here",
    "times of creation are those of the delivery",
  ],
};

/** What an export to a server can not take along. */
export const exportLosses: readonly string[] = [
  "run, experiment, logged-model ids and version numbers are minted by the server; ours are tags (espalier.run_id, espalier.experiment_id, espalier.model_id, espalier.version)",
  "infinite metric values become the greatest double, and values beyond MLflow's lengths are cut",
  "outputs of steps, states, events, logs, lineage and verdicts of pipelines stay here",
  "times of creation of registered models, versions and logged models are those of the export",
  "a data set that the server knows by name and digest keeps the source that it was first told with",
  "traces and assessments are not exported",
];
