import type { ControlPlane } from "../../control-plane.ts";
import { wakeDeclarations } from "../../endpoints/follow-declarations.ts";
import { wakeNotices } from "../../notices/notices.ts";
import { optionalCount, optionalText, requiredText, textList } from "../fields.ts";
import { empty, type MlflowRoute } from "../mlflow-route.ts";
import { modelDocument, versionDocument } from "../registry/model-document.ts";
import {
  aliasName,
  descriptionOf,
  modelName,
  newAliasName,
  tagKey,
  tagsOf,
  tagValue,
  versionNumber,
} from "../registry/registry-fields.ts";
import { searchModels } from "../registry/search.ts";
import { stageOf, stages } from "../registry/stages.ts";
import { type ExperimentScope, requireProject } from "../scope.ts";

/** Prompts hold their texts in tags. */
const bodyLimit = 8 * 1024 * 1024;

/** Registered models, their tags and aliases. */
export function registeredModelsRoutes(plane: ControlPlane): MlflowRoute[] {
  const { models, versions } = plane.record.registry;
  const told = async <Answer>(change: Promise<Answer>): Promise<Answer> => {
    const answer = await change;
    wakeNotices(plane);
    wakeDeclarations(plane);
    return answer;
  };
  const latestVersions: MlflowRoute["handle"] = async ({ fields }) => {
    const name = modelName(fields);
    const wanted = textList(fields, "stages").map(stageOf);
    await models.get(name);
    const found = await versions.latest(name, wanted.length === 0 ? stages : [...new Set(wanted)]);
    return found.length === 0 ? empty : { model_versions: found.map(versionDocument) };
  };
  return [
    {
      method: "POST",
      path: "/mlflow/registered-models/create",
      api: "2.0",
      access: "write",
      bodyLimit,
      handle: async ({ fields }) => {
        const description = descriptionOf(fields);
        const model = { name: modelName(fields), tags: tagsOf(fields) };
        const made = await told(models.create({ ...model, ...(description === undefined ? {} : { description }) }));
        return { registered_model: modelDocument(made) };
      },
    },
    {
      method: "GET",
      path: "/mlflow/registered-models/get",
      api: "2.0",
      access: "read",
      handle: async ({ fields }) => ({ registered_model: modelDocument(await models.get(modelName(fields))) }),
    },
    {
      method: "PATCH",
      path: "/mlflow/registered-models/update",
      api: "2.0",
      access: "write",
      handle: async ({ fields }) => ({
        registered_model: modelDocument(await models.update(modelName(fields), descriptionOf(fields))),
      }),
    },
    {
      method: "POST",
      path: "/mlflow/registered-models/rename",
      api: "2.0",
      access: "write",
      handle: async ({ fields, scope }) => {
        const name = modelName(fields);
        requiredText(fields, "new_name");
        requireProject(scope, "rename a registered model");
        return { registered_model: modelDocument(await models.rename(name, modelName(fields, "new_name"))) };
      },
    },
    {
      method: "DELETE",
      path: "/mlflow/registered-models/delete",
      api: "2.0",
      access: "write",
      handle: async ({ fields, scope, principal }) => {
        requireProject(scope, "delete a registered model");
        await told(models.delete(modelName(fields), principal.actor));
        return empty;
      },
    },
    {
      method: "GET",
      path: "/mlflow/registered-models/search",
      api: "2.0",
      access: "read",
      handle: ({ fields }) =>
        searchModels(plane, {
          filter: optionalText(fields, "filter"),
          maxResults: optionalCount(fields, "max_results"),
          orderBy: textList(fields, "order_by"),
          pageToken: optionalText(fields, "page_token"),
        }),
    },
    ...(["POST", "GET"] as const).map(
      (method): MlflowRoute => ({
        method,
        path: "/mlflow/registered-models/get-latest-versions",
        api: "2.0",
        access: "read",
        handle: latestVersions,
      }),
    ),
    {
      method: "POST",
      path: "/mlflow/registered-models/set-tag",
      api: "2.0",
      access: "write",
      bodyLimit,
      handle: async ({ fields }) => {
        await told(models.setTag(modelName(fields), tagKey(fields), tagValue(fields)));
        return empty;
      },
    },
    {
      method: "DELETE",
      path: "/mlflow/registered-models/delete-tag",
      api: "2.0",
      access: "write",
      handle: async ({ fields }) => {
        await told(models.setTag(modelName(fields), tagKey(fields), undefined));
        return empty;
      },
    },
    {
      method: "POST",
      path: "/mlflow/registered-models/alias",
      api: "2.0",
      access: "write",
      handle: async ({ fields, scope, principal }) => {
        const [name, alias] = [modelName(fields), newAliasName(fields)];
        requireMovable(scope, alias);
        const { version } = await versions.get(name, versionNumber(fields));
        await told(plane.record.aliases.set({ name, alias, toVersion: version, changedBy: principal.actor }));
        return empty;
      },
    },
    {
      method: "DELETE",
      path: "/mlflow/registered-models/alias",
      api: "2.0",
      access: "write",
      handle: async ({ fields, scope, principal }) => {
        const [name, alias] = [modelName(fields), aliasName(fields)];
        requireMovable(scope, alias);
        await models.get(name);
        await told(plane.record.aliases.set({ name, alias, toVersion: undefined, changedBy: principal.actor }));
        return empty;
      },
    },
    {
      method: "GET",
      path: "/mlflow/registered-models/alias",
      api: "2.0",
      access: "read",
      handle: async ({ fields }) => ({
        model_version: versionDocument(await versions.byAlias(modelName(fields), aliasName(fields))),
      }),
    },
  ];
}

/** A step that could move the champion could pass any gate: it would compare with what it likes. */
function requireMovable(scope: ExperimentScope, alias: string): void {
  if (alias === "champion") requireProject(scope, "move the alias champion, which gates compare with");
}
