import {
  type CallContext,
  isEspalierError,
  type RegistryMirror,
  type TrackedRegisteredModel,
  type TrackedVersion,
  type VersionContent,
} from "@espalier/core";
import { z } from "zod";
import type { MlflowApi } from "./mlflow-client.ts";
import { orAbsent } from "./mlflow-errors.ts";
import { type MlflowHomes, mlflowHomes } from "./mlflow-homes.ts";
import { keyValues, quoted } from "./mlflow-limits.ts";
import { createMlflowTrackerMirror } from "./mlflow-tracker-mirror.ts";

export interface MlflowRegistryOptions {
  /** The project, so that two of them may share a server. */
  project: string;
  /** false: versions without their content. */
  files?: boolean;
}

const versionTag = "espalier.version";
const carrierExperiment = "espalier-models";

const tag = z.object({ key: z.string(), value: z.string().default("") });
const modelAnswer = z.object({
  registered_model: z.object({
    name: z.string(),
    description: z.string().default(""),
    tags: z.array(tag).default([]),
    aliases: z.array(z.object({ alias: z.string(), version: z.coerce.string() })).default([]),
  }),
});
const version = z.object({
  version: z.coerce.string(),
  description: z.string().default(""),
  current_stage: z.string().default("None"),
  tags: z.array(tag).default([]),
});
type RemoteVersion = z.infer<typeof version>;

export function createMlflowRegistryMirror(api: MlflowApi, options: MlflowRegistryOptions): RegistryMirror {
  const homes = mlflowHomes(api);
  const tracker = createMlflowTrackerMirror(api, { project: options.project });
  const post = (path: string, body: object, context?: CallContext) => api.send("POST", `mlflow/${path}`, body, context);

  async function putModel(model: TrackedRegisteredModel, context?: CallContext): Promise<void> {
    const { name, description = "" } = model;
    const known = await orAbsent(api.get("mlflow/registered-models/get", { name }, context));
    if (known === undefined) {
      await unlessThere(
        post("registered-models/create", { name, description, tags: keyValues(model.tags, "registryTag") }, context),
      );
      return;
    }
    const found = modelAnswer.parse(known).registered_model;
    if (found.description !== description) {
      await api.send("PATCH", "mlflow/registered-models/update", { name, description }, context);
    }
    await bringTags(found.tags, model.tags, {
      set: (one) => post("registered-models/set-tag", { name, ...one }, context),
      remove: (key) => api.send("DELETE", "mlflow/registered-models/delete-tag", { name, key }, context),
    });
  }

  async function putVersion(
    ours: TrackedVersion,
    content: () => Promise<VersionContent>,
    known: string | undefined,
    context?: CallContext,
  ): Promise<string> {
    const { name } = ours;
    const identity = `${options.project}/${ours.version}`;
    const tags = {
      ...ours.tags,
      [versionTag]: identity,
      ...(ours.runId === undefined ? {} : { "espalier.run_id": ours.runId }),
      "espalier.source": ours.source,
    };
    const found = await findVersion(api, name, identity, known, context);
    if (found === undefined) {
      const place = await placeOf(ours, await content(), context);
      const answer = await post(
        "model-versions/create",
        { name, description: ours.description ?? "", tags: keyValues(tags, "registryTag"), ...place },
        context,
      );
      const made = z.object({ model_version: version }).parse(answer).model_version;
      await bringStage(made, ours, context);
      return made.version;
    }
    if (found.description !== (ours.description ?? "")) {
      const description = ours.description ?? "";
      await api.send("PATCH", "mlflow/model-versions/update", { name, version: found.version, description }, context);
    }
    await bringTags(found.tags, tags, {
      set: (one) => post("model-versions/set-tag", { name, version: found.version, ...one }, context),
      remove: (key) =>
        api.send("DELETE", "mlflow/model-versions/delete-tag", { name, version: found.version, key }, context),
    });
    await bringStage(found, ours, context);
    return found.version;
  }

  async function bringStage(found: RemoteVersion, ours: TrackedVersion, context?: CallContext): Promise<void> {
    if (found.current_stage === ours.stage) return;
    await post(
      "model-versions/transition-stage",
      { name: ours.name, version: found.version, stage: ours.stage, archive_existing_versions: false },
      context,
    );
  }

  /** MLflow takes a version's content only from the folder of a run or of a logged model that it names. */
  async function placeOf(
    ours: TrackedVersion,
    content: VersionContent,
    context?: CallContext,
  ): Promise<{ source: string; run_id?: string; model_id?: string }> {
    if ("home" in content) {
      const { home, path } = content;
      const source = [await homes.uri(home, context), ...(path === "" ? [] : [path])].join("/");
      return home.kind === "run" ? { source, run_id: home.id } : { source, model_id: home.id };
    }
    const run = await carrierRun(ours, context);
    await putFiles(homes, run, content.files, options.files !== false, context);
    return { source: `${await homes.uri({ kind: "run", id: run }, context)}/model`, run_id: run };
  }

  async function carrierRun(ours: TrackedVersion, context?: CallContext): Promise<string> {
    const experimentId = await tracker
      .putExperiment({ id: "models", name: carrierExperiment, lifecycle: "active", tags: {} }, undefined, context)
      .catch((error: unknown) => sharedExperiment(error, context));
    return tracker.putRun(
      {
        id: `${options.project}/${ours.name}/${ours.version}`,
        experimentId,
        name: `${ours.name} ${ours.version}`,
        user: ours.user,
        status: "FINISHED",
        lifecycle: "active",
        startTime: ours.createdAt,
        endTime: ours.createdAt,
      },
      undefined,
      context,
    );
  }

  /** Another project may have made it first. */
  async function sharedExperiment(error: unknown, context?: CallContext): Promise<string> {
    if (!isEspalierError(error) || error.code !== "CONFLICT") throw error;
    const answer = await api.get("mlflow/experiments/get-by-name", { experiment_name: carrierExperiment }, context);
    return z.object({ experiment: z.object({ experiment_id: z.coerce.string() }) }).parse(answer).experiment
      .experiment_id;
  }

  return {
    putModel,
    putVersion,
    setAliases: async (name, aliases, context) => {
      const answer = await api.get("mlflow/registered-models/get", { name }, context);
      const found = new Map(modelAnswer.parse(answer).registered_model.aliases.map((one) => [one.alias, one.version]));
      for (const [alias, wanted] of Object.entries(aliases)) {
        if (found.get(alias) !== wanted)
          await post("registered-models/alias", { name, alias, version: wanted }, context);
      }
      for (const alias of found.keys()) {
        if (aliases[alias] === undefined) {
          await orAbsent(api.send("DELETE", "mlflow/registered-models/alias", { name, alias }, context));
        }
      }
    },
    remove: async (name, number, context) => {
      const gone =
        number === undefined
          ? api.send("DELETE", "mlflow/registered-models/delete", { name }, context)
          : api.send("DELETE", "mlflow/model-versions/delete", { name, version: number }, context);
      await orAbsent(gone);
    },
    check: async (context) => {
      await api.get("mlflow/registered-models/search", { max_results: 1 }, context);
      return { version: await api.version(context) };
    },
  };
}

async function putFiles(
  homes: MlflowHomes,
  run: string,
  files: Extract<VersionContent, { files: unknown }>["files"],
  wanted: boolean,
  context?: CallContext,
): Promise<void> {
  if (!wanted) return;
  for await (const file of files) {
    await homes.put({ kind: "run", id: run }, { ...file, path: `model/${file.path}` }, context);
  }
}

async function findVersion(
  api: MlflowApi,
  name: string,
  identity: string,
  known: string | undefined,
  context?: CallContext,
): Promise<RemoteVersion | undefined> {
  if (known !== undefined) {
    const byNumber = await orAbsent(api.get("mlflow/model-versions/get", { name, version: known }, context));
    if (byNumber !== undefined) return z.object({ model_version: version }).parse(byNumber).model_version;
  }
  const filter = `name = ${quoted(name)} AND tags.\`${versionTag}\` = ${quoted(identity)}`;
  const answer = await api.get("mlflow/model-versions/search", { filter, max_results: 1 }, context);
  return z.object({ model_versions: z.array(version).default([]) }).parse(answer).model_versions[0];
}

interface TagChanges {
  set(tag: { key: string; value: string }): Promise<unknown>;
  remove(key: string): Promise<unknown>;
}

async function bringTags(
  found: readonly { key: string; value: string }[],
  wanted: Readonly<Record<string, string>>,
  { set, remove }: TagChanges,
): Promise<void> {
  const present = new Map(found.map((one) => [one.key, one.value]));
  for (const one of keyValues(wanted, "registryTag")) if (present.get(one.key) !== one.value) await set(one);
  for (const key of present.keys()) if (wanted[key] === undefined) await orAbsent(remove(key));
}

async function unlessThere(answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "ALREADY_EXISTS") throw error;
  }
}
