import type { ArtifactRef } from "@espalier/core";
import type { ControlPlane } from "../../control-plane.ts";
import type { RegistryVersion } from "../../db/queries/registry/registry-rows.ts";
import { promptTag } from "../../db/queries/registry/registry-rows.ts";
import { type ExperimentScope, requireExperiment } from "../scope.ts";
import { artifactPath, parseModelUri, plainPath, refuseSource } from "./model-uri.ts";
import { stageOf, stages } from "./stages.ts";

export interface WantedSource {
  source: string;
  runId?: string;
  modelId?: string;
}

/** Where a version's files lie: below the artifact proxy, or in the store already. */
export interface ResolvedSource {
  /** As it goes on record: with an alias or stage replaced by the version it stood for. */
  source: string;
  location?: string;
  artifact?: ArtifactRef;
  verdictId?: string;
  runId?: string;
  modelId?: string;
}

type Parts = Pick<ControlPlane, "record">;

/**
 * Only what this server holds can become a version: files of its runs and logged models, and other versions (CVE-2023-1177, 2023-2780, 2024-3573,
 * 2026-2614). Anything else, such as a local path, `file:` or another store, is INVALID_PARAMETER_VALUE.
 */
export async function resolveSource(
  plane: Parts,
  scope: ExperimentScope,
  wanted: WantedSource,
): Promise<ResolvedSource> {
  const { source } = wanted;
  const [, scheme] = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(source) ?? [];
  if (scheme === "models") return fromModels(plane, scope, wanted);
  if (scheme === "runs") return fromRun(plane, scope, wanted);
  if (scheme === "mlflow-artifacts") return fromArtifacts(plane, scope, wanted);
  return refuseSource(
    source,
    scheme === undefined || scheme.length === 1 || scheme === "file"
      ? "a path of the server's machine is never a source; log the model's files to a run first"
      : `files of '${scheme}:' are not this server's; log the model's files to a run first`,
  );
}

async function fromModels(plane: Parts, scope: ExperimentScope, wanted: WantedSource): Promise<ResolvedSource> {
  const { source } = wanted;
  const uri = parseModelUri(source) ?? refuseSource(source, "it is not of the form models:/name/version");
  if (uri.kind === "logged") {
    if (wanted.modelId !== undefined && wanted.modelId !== uri.modelId) return mustIdentify(source, "model_id");
    return fromLoggedModel(plane, scope, wanted, uri.modelId);
  }
  const { models, versions } = plane.record.registry;
  const model = await models.get(uri.name);
  if (model.tags[promptTag]?.toLowerCase() === "true") {
    return refuseSource(source, "a version of a prompt is no source of a model");
  }
  const found =
    uri.kind === "version"
      ? await versions.get(uri.name, uri.version)
      : uri.kind === "alias"
        ? await versions.byAlias(uri.name, uri.alias)
        : await newest(plane, uri.name, uri.stage);
  return copyOf(wanted, found, `models:/${found.name}/${found.version}`);
}

async function newest({ record }: Parts, name: string, stage: string | undefined): Promise<RegistryVersion> {
  const found = await record.registry.versions.latest(name, stage === undefined ? stages : [stageOf(stage)]);
  const last = found.at(-1);
  if (last !== undefined) return last;
  return refuseSource(
    `models:/${name}/${stage ?? "latest"}`,
    `there are no versions of ${name}${stage === undefined ? "" : ` in stage ${stage}`}`,
  );
}

/** The same content under another name; a gate's verdict is about content, so it goes along. */
function copyOf(wanted: WantedSource, of: RegistryVersion, source: string): ResolvedSource {
  if (differs(wanted.runId, of.runId) || differs(wanted.modelId, of.modelId)) {
    return refuseSource(wanted.source, "run_id and model_id must be those of the version it names");
  }
  return {
    source,
    ...(of.location === undefined ? {} : { location: of.location }),
    ...(of.artifact === undefined ? {} : { artifact: of.artifact }),
    ...(of.verdictId === undefined ? {} : { verdictId: of.verdictId }),
    ...(of.runId === undefined ? {} : { runId: of.runId }),
    ...(of.modelId === undefined ? {} : { modelId: of.modelId }),
  };
}

async function fromLoggedModel(
  { record }: Parts,
  scope: ExperimentScope,
  wanted: WantedSource,
  modelId: string,
): Promise<ResolvedSource> {
  const model = await record.registry.sources.loggedModel(modelId);
  if (model === undefined) return mustIdentify(wanted.source, "model_id");
  requireExperiment(scope, model.experimentId);
  const runId = wanted.runId ?? model.sourceRunId;
  return {
    source: wanted.source,
    location: artifactPath(model.location),
    modelId,
    ...(runId === undefined ? {} : { runId }),
  };
}

async function fromRun(plane: Parts, scope: ExperimentScope, wanted: WantedSource): Promise<ResolvedSource> {
  const { source } = wanted;
  const [, runId = "", path = ""] = /^runs:\/([^/]+)\/(.+)$/.exec(source) ?? [];
  if (runId === "") return refuseSource(source, "it is not of the form runs:/run/path");
  if (wanted.runId !== undefined && wanted.runId !== runId) return mustIdentify(source, "run_id");
  const below = plainPath(source, path);
  const root = await rootOfRun(plane, scope, runId);
  if (root === undefined) return mustIdentify(source, "run_id");
  const location = `${root}/${below}`;
  // Newer clients log a model beside the run, not among its files.
  const logged = await plane.record.registry.sources.loggedModelOfRun(runId, below);
  if (logged !== undefined && (await plane.record.files.list(location, 1)).entries.length === 0) {
    return { ...(await fromLoggedModel(plane, scope, { ...wanted, runId }, logged.id)), source };
  }
  return { source, location, runId, ...(wanted.modelId === undefined ? {} : { modelId: wanted.modelId }) };
}

async function fromArtifacts(plane: Parts, scope: ExperimentScope, wanted: WantedSource): Promise<ResolvedSource> {
  const { source } = wanted;
  const path = artifactPath(source);
  const [, sha256] = /^espalier\/([0-9a-f]{64})$/.exec(path) ?? [];
  if (sha256 !== undefined) {
    const held = await plane.record.registry.versions.withContent(`sha256:${sha256}`);
    if (held === undefined) return refuseSource(source, "no version holds this content");
    return { ...copyOf({ source }, held, source), ...pick(wanted) };
  }
  const place = await plane.record.files.placeOf(path);
  const member = wanted.modelId === undefined ? "run_id" : "model_id";
  if (place === undefined || place.kind === "trace") return mustIdentify(source, member);
  requireExperiment(scope, place.experimentId);
  if (place.kind === "model") {
    const resolved = await fromLoggedModel(plane, scope, { source }, place.id);
    const isOther = wanted.modelId !== undefined && wanted.modelId !== place.id;
    if (isOther || (wanted.modelId === undefined && differs(wanted.runId, resolved.runId))) {
      return mustIdentify(source, member);
    }
    return { ...resolved, ...(wanted.runId === undefined ? {} : { runId: wanted.runId }), location: path };
  }
  if (wanted.modelId !== undefined || differs(wanted.runId, place.id)) return mustIdentify(source, member);
  return { source, location: path, runId: place.id };
}

async function rootOfRun({ record }: Parts, scope: ExperimentScope, runId: string): Promise<string | undefined> {
  const run = await record.tracking.runs.info(runId);
  if (run === undefined) return undefined;
  requireExperiment(scope, run.experimentId);
  return artifactPath(run.artifactUri);
}

const differs = (given: string | undefined, held: string | undefined): boolean =>
  given !== undefined && given !== (held ?? "");

const pick = ({ runId, modelId }: WantedSource): { runId?: string; modelId?: string } => ({
  ...(runId === undefined ? {} : { runId }),
  ...(modelId === undefined ? {} : { modelId }),
});

function mustIdentify(source: string, member: "run_id" | "model_id"): never {
  return refuseSource(source, `The ${member} request parameter must identify the resource that contains the source`);
}
