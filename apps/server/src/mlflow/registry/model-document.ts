import type { RegistryModel, RegistryVersion } from "../../db/queries/registry/registry-rows.ts";

/** Models and versions as MLflow's JSON has them. Empty lists are left out, as in MLflow's. */
export function modelDocument(model: RegistryModel): object {
  const aliases = Object.entries(model.aliases);
  return {
    name: model.name,
    creation_timestamp: model.createdAt,
    last_updated_timestamp: model.updatedAt,
    ...(model.description === undefined || model.description === "" ? {} : { description: model.description }),
    ...(model.latestVersions.length === 0 ? {} : { latest_versions: model.latestVersions.map(versionDocument) }),
    ...tagList(model.tags),
    ...(aliases.length === 0
      ? {}
      : { aliases: aliases.map(([alias, version]) => ({ alias, version: String(version) })) }),
  };
}

export function versionDocument(version: RegistryVersion): object {
  return {
    name: version.name,
    version: String(version.version),
    creation_timestamp: version.createdAt,
    last_updated_timestamp: version.updatedAt,
    user_id: version.userId,
    current_stage: version.stage,
    ...(version.description === undefined ? {} : { description: version.description }),
    source: sourceOf(version),
    run_id: version.runId ?? "",
    run_link: version.runLink ?? "",
    ...(version.modelId === undefined ? {} : { model_id: version.modelId }),
    status: version.status,
    ...(version.statusMessage === undefined ? {} : { status_message: version.statusMessage }),
    ...tagList(version.tags),
    ...(version.aliases.length === 0 ? {} : { aliases: version.aliases }),
  };
}

const pipelineSource = /^espalier-artifact:sha256:([0-9a-f]{64})$/;

/** A version that a pipeline registered lies in the content-addressed store, which the artifact proxy shows as folders. */
function sourceOf({ source }: RegistryVersion): string {
  const digest = pipelineSource.exec(source)?.[1];
  return digest === undefined ? source : contentUri(digest);
}

/** Where clients download a version from. What is held is immutable, whatever becomes of the run's files. */
export function downloadUri(version: RegistryVersion): string {
  if (version.artifact !== undefined) return contentUri(version.artifact.digest.slice("sha256:".length));
  return version.location === undefined ? version.source : `mlflow-artifacts:/${version.location}`;
}

const contentUri = (sha256: string): string => `mlflow-artifacts:/espalier/${sha256}`;

function tagList(tags: Readonly<Record<string, string>>): object {
  const entries = Object.entries(tags);
  return entries.length === 0 ? {} : { tags: entries.map(([key, value]) => ({ key, value })) };
}
