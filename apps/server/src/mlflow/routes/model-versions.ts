import type { ControlPlane } from "../../control-plane.ts";
import { wakeNotices } from "../../notices/notices.ts";
import { optionalBoolean, optionalCount, optionalText, requiredText, textList } from "../fields.ts";
import { empty, type MlflowRoute } from "../mlflow-route.ts";
import { createVersion } from "../registry/create-version.ts";
import { downloadUri, versionDocument } from "../registry/model-document.ts";
import {
  descriptionOf,
  modelName,
  refuseGateTag,
  tagKey,
  tagValue,
  versionNumber,
} from "../registry/registry-fields.ts";
import { searchVersions } from "../registry/search.ts";
import { requireActive, stageOf } from "../registry/stages.ts";
import { requireProject } from "../scope.ts";

/** Prompts hold their texts in tags. */
const bodyLimit = 8 * 1024 * 1024;

/** Versions of registered models: made, found, moved between stages, downloaded. */
export function modelVersionsRoutes(plane: ControlPlane): MlflowRoute[] {
  const { versions } = plane.record.registry;
  return [
    {
      method: "POST",
      path: "/mlflow/model-versions/create",
      api: "2.0",
      access: "write",
      bodyLimit,
      handle: async (call) => {
        const version = await createVersion(plane, call);
        wakeNotices(plane);
        return { model_version: versionDocument(version) };
      },
    },
    {
      method: "GET",
      path: "/mlflow/model-versions/get",
      api: "2.0",
      access: "read",
      handle: async ({ fields }) => ({
        model_version: versionDocument(await versions.get(modelName(fields), versionNumber(fields))),
      }),
    },
    {
      method: "PATCH",
      path: "/mlflow/model-versions/update",
      api: "2.0",
      access: "write",
      handle: async ({ fields }) => {
        const [name, version] = [modelName(fields), versionNumber(fields)];
        return { model_version: versionDocument(await versions.describe(name, version, descriptionOf(fields))) };
      },
    },
    {
      method: "POST",
      path: "/mlflow/model-versions/transition-stage",
      api: "2.0",
      access: "write",
      handle: async ({ fields }) => {
        const [name, version] = [modelName(fields), versionNumber(fields)];
        const given = requiredText(fields, "stage");
        const stage = stageOf(given);
        const archiveOthers = optionalBoolean(fields, "archive_existing_versions") ?? false;
        if (archiveOthers) requireActive(stage, given);
        return { model_version: versionDocument(await versions.moveToStage(name, version, stage, archiveOthers)) };
      },
    },
    {
      method: "DELETE",
      path: "/mlflow/model-versions/delete",
      api: "2.0",
      access: "write",
      handle: async ({ fields, scope, principal }) => {
        requireProject(scope, "delete a model version");
        await versions.delete(modelName(fields), versionNumber(fields), principal.actor);
        wakeNotices(plane);
        return empty;
      },
    },
    {
      method: "GET",
      path: "/mlflow/model-versions/search",
      api: "2.0",
      access: "read",
      handle: ({ fields }) =>
        searchVersions(plane, {
          filter: optionalText(fields, "filter"),
          maxResults: optionalCount(fields, "max_results"),
          orderBy: textList(fields, "order_by"),
          pageToken: optionalText(fields, "page_token"),
        }),
    },
    {
      method: "GET",
      path: "/mlflow/model-versions/get-download-uri",
      api: "2.0",
      access: "read",
      handle: async ({ fields }) => ({
        artifact_uri: downloadUri(await versions.get(modelName(fields), versionNumber(fields))),
      }),
    },
    {
      method: "POST",
      path: "/mlflow/model-versions/set-tag",
      api: "2.0",
      access: "write",
      bodyLimit,
      handle: async ({ fields }) => {
        const [name, version, key] = [modelName(fields), versionNumber(fields), tagKey(fields)];
        refuseGateTag(key);
        await versions.setTag(name, version, key, tagValue(fields));
        wakeNotices(plane);
        return empty;
      },
    },
    {
      method: "DELETE",
      path: "/mlflow/model-versions/delete-tag",
      api: "2.0",
      access: "write",
      handle: async ({ fields }) => {
        const [name, version, key] = [modelName(fields), versionNumber(fields), tagKey(fields)];
        refuseGateTag(key);
        await versions.setTag(name, version, key, undefined);
        wakeNotices(plane);
        return empty;
      },
    },
  ];
}
