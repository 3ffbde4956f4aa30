import type { ControlPlane } from "../../control-plane.ts";
import type { LoggedModel, LoggedModelStatus } from "../../db/queries/logged-models/rows.ts";
import type { KeyValue } from "../../db/queries/tracking/experiments.ts";
import {
  type Fields,
  fieldsList,
  optionalBoolean,
  optionalText,
  requiredId,
  requiredInteger,
  requiredText,
} from "../fields.ts";
import { invalidParameter, invalidValue, requireLength, requireNoNul } from "../limits.ts";
import { loggedModelDocument, loggedModelStatuses } from "../logged-model-document.ts";
import { readLoggedModelSearch } from "../logged-model-search.ts";
import { mlflowError } from "../mlflow-error.ts";
import { empty, type MlflowCall, type MlflowRoute } from "../mlflow-route.ts";
import { randomRunName } from "../run-names.ts";
import { type ExperimentScope, experimentForNew, requireExperiment } from "../scope.ts";
import { deletedExperiment, experimentIdOf, missingExperiment } from "../tracked.ts";

/** A hundred parameters of a model may be long texts: prompts, configurations. */
const largestBody = 16 * 1024 * 1024;

/** Models as MLflow 3 logs them. */
export function loggedModelsRoutes({ record }: ControlPlane): MlflowRoute[] {
  const { loggedModels } = record;

  const requireModel = async (scope: ExperimentScope, id: string): Promise<void> => {
    requireExperiment(scope, (await loggedModels.experimentOf(id)) ?? missingModel(id));
  };
  const requireActive = async (scope: ExperimentScope, id: string): Promise<LoggedModel> => {
    const model = (await loggedModels.get(id)) ?? missingModel(id);
    requireExperiment(scope, model.experimentId);
    return model.lifecycleStage === "active" ? model : missingModel(id);
  };

  const route = (
    method: MlflowRoute["method"],
    path: "" | `/${string}`,
    handle: (call: MlflowCall) => Promise<object>,
  ): MlflowRoute => ({
    method,
    path: `/mlflow/logged-models${path}`,
    api: "2.0",
    access: method === "GET" ? "read" : "write",
    bodyLimit: largestBody,
    handle,
  });

  return [
    route("POST", "", async ({ fields, scope }) => {
      const experimentId = experimentForNew(scope, experimentIdOf(requiredId(fields, "experiment_id")));
      const name = optionalText(fields, "name") || undefined;
      if (name !== undefined) requireModelName(name);
      const modelType = textOf(fields, "model_type", longestName);
      const sourceRunId = textOf(fields, "source_run_id", longestRunId);
      const params = unique(fieldsList(fields, "params").map(pairOf));
      const tags = unique(fieldsList(fields, "tags").map(pairOf));
      const outcome = await loggedModels.create({
        experimentId,
        name: name ?? randomRunName(),
        modelType,
        sourceRunId,
        params,
        tags,
      });
      if (outcome.kind === "no-experiment") missingExperiment(experimentId);
      if (outcome.kind === "deleted-experiment") return deletedExperiment(experimentId);
      return { model: loggedModelDocument(outcome.model) };
    }),
    {
      method: "POST",
      path: "/mlflow/logged-models/search",
      api: "2.0",
      access: "read",
      handle: async ({ fields, scope }) => {
        const { search, nextToken } = readLoggedModelSearch(fields);
        for (const id of search.experimentIds) requireExperiment(scope, id);
        const { models, more } = await loggedModels.search(search);
        return {
          ...(models.length === 0 ? {} : { models: models.map(loggedModelDocument) }),
          ...(more ? { next_page_token: nextToken() } : {}),
        };
      },
    },
    route("GET", "/:model_id", async ({ fields, scope }) => {
      const id = requiredText(fields, "model_id");
      const model = (await loggedModels.get(id)) ?? missingModel(id);
      requireExperiment(scope, model.experimentId);
      const isShown = model.lifecycleStage === "active" || optionalBoolean(fields, "allow_deleted") === true;
      return isShown ? { model: loggedModelDocument(model) } : missingModel(id);
    }),
    route("PATCH", "/:model_id", async ({ fields, scope }) => {
      const id = requiredText(fields, "model_id");
      const status = statusOf(fields);
      await requireModel(scope, id);
      return { model: loggedModelDocument((await loggedModels.finalize(id, status)) ?? missingModel(id)) };
    }),
    route("DELETE", "/:model_id", async ({ fields, scope }) => {
      const id = requiredText(fields, "model_id");
      await requireModel(scope, id);
      await loggedModels.delete(id);
      return empty;
    }),
    route("POST", "/:model_id/params", async ({ fields, scope }) => {
      const id = requiredText(fields, "model_id");
      const params = unique(fieldsList(fields, "params").map(pairOf));
      await requireActive(scope, id);
      const differing = await loggedModels.logParams(id, params);
      if (differing === undefined) return empty;
      return invalidParameter(
        `Changing param values is not allowed. Param with key='${differing.key}' was already logged with value='${differing.stored.slice(0, 500)}' for model ID='${id}'.`,
      );
    }),
    route("PATCH", "/:model_id/tags", async ({ fields, scope }) => {
      const id = requiredText(fields, "model_id");
      const tags = unique(fieldsList(fields, "tags").map(pairOf));
      await requireActive(scope, id);
      await loggedModels.setTags(id, tags);
      return empty;
    }),
    route("DELETE", "/:model_id/tags/:tag_key", async ({ fields, scope }) => {
      const id = requiredText(fields, "model_id");
      const key = requiredText(fields, "tag_key");
      await requireActive(scope, id);
      if (await loggedModels.deleteTag(id, key)) return empty;
      throw mlflowError("RESOURCE_DOES_NOT_EXIST", `No tag with key '${key}' found for model with ID '${id}'.`);
    }),
  ];
}

/** As MLflow's tables have them. */
const longestName = 500;
const longestKey = 255;
/** Longer than MLflow's own 32, since ids of attempts are longer. */
const longestRunId = 256;
const badCharacters = ["/", ":", ".", "%", '"', "'"];

function requireModelName(name: string): void {
  requireNoNul("name", name);
  requireLength("Model name", longestName, name);
  if (!badCharacters.some((bad) => name.includes(bad))) return;
  invalidParameter(
    `Invalid model name ('${name}') provided. Model name must be a non-empty string and cannot contain the following characters: ('/', ':', '.', '%', '"', "'")`,
  );
}

function missingModel(id: string): never {
  throw mlflowError("RESOURCE_DOES_NOT_EXIST", `Logged model with ID '${id}' not found.`);
}

function textOf(fields: Fields, name: string, limit: number): string | undefined {
  const text = optionalText(fields, name) || undefined;
  if (text === undefined) return undefined;
  requireNoNul(name, text);
  requireLength(name, limit, text);
  return text;
}

function pairOf(fields: Fields): KeyValue {
  const key = requiredText(fields, "key");
  requireNoNul("key", key);
  requireLength("key", longestKey, key);
  const value = optionalText(fields, "value") ?? "";
  requireNoNul(key, value);
  return { key, value };
}

/** Of one key the last counts. */
function unique(pairs: readonly KeyValue[]): KeyValue[] {
  return [...new Map(pairs.map((pair) => [pair.key, pair])).values()];
}

function statusOf(fields: Fields): LoggedModelStatus {
  const given = fields["status"];
  const found =
    typeof given === "string"
      ? loggedModelStatuses.find(([, name]) => name === given)
      : loggedModelStatuses[Number(requiredInteger(fields, "status"))];
  return found?.[0] ?? invalidValue("status", given);
}
