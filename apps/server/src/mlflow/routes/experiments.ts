import type { ControlPlane } from "../../control-plane.ts";
import type { ExperimentChange, KeyValue, TrackedExperiment } from "../../db/queries/tracking/experiments.ts";
import { experimentDocument } from "../experiment-document.ts";
import { type Fields, fieldsList, optionalText, requiredId, requiredText } from "../fields.ts";
import {
  invalidParameter,
  limits,
  requireArtifactLocation,
  requireLength,
  requireName,
  requireNoNul,
} from "../limits.ts";
import { mlflowError } from "../mlflow-error.ts";
import { empty, type MlflowCall, type MlflowRoute } from "../mlflow-route.ts";
import { type ExperimentScope, requireExperiment, requireProject } from "../scope.ts";
import { deletedExperiment, experimentIdOf, missingExperiment } from "../tracked.ts";

const customView = "mlflow.customView.view";

/** Experiments: made, found, renamed, tagged, deleted and restored. */
export function experimentsRoutes({ record }: ControlPlane): MlflowRoute[] {
  const { experiments, log } = record.tracking;

  /** The experiment of a step is its pipeline's, whatever the script calls it; the name it wanted is kept beside. */
  const ofStep = async (scope: ExperimentScope & { kind: "experiment" }, name: string): Promise<TrackedExperiment> => {
    const own = (await experiments.get(scope.experimentId)) ?? missingExperiment(scope.experimentId);
    if (own.name !== name) {
      const tags = [{ key: "espalier.mlflow_experiment", value: name }];
      await log({ runId: scope.attemptId, metrics: [], params: [], tags });
    }
    return own;
  };

  const change = (
    name: string,
    work: (id: string, call: MlflowCall) => Promise<[ExperimentChange, Parameters<typeof refuse>[2]?]>,
  ): MlflowRoute => ({
    method: "POST",
    path: `/mlflow/experiments/${name}`,
    api: "2.0",
    access: "write",
    handle: async (call) => {
      const id = experimentIdOf(requiredId(call.fields, "experiment_id"));
      requireExperiment(call.scope, id);
      const [outcome, about] = await work(id, call);
      if (outcome !== "changed") refuse(outcome, id, about ?? {});
      return empty;
    },
  });

  return [
    {
      method: "POST",
      path: "/mlflow/experiments/create",
      api: "2.0",
      access: "write",
      handle: async ({ fields, scope }) => {
        const name = nameOf(fields, "name");
        const location = optionalText(fields, "artifact_location");
        const tags = fieldsList(fields, "tags").map(experimentTagOf);
        requireViews(tags);
        if (location) requireArtifactLocation("artifact_location", location);
        if (scope.kind === "experiment") return { experiment_id: (await ofStep(scope, name)).id };
        const id = await experiments.create({ name, tags, ...(location ? { artifactLocation: location } : {}) });
        return { experiment_id: id ?? taken(name) };
      },
    },
    {
      method: "GET",
      path: "/mlflow/experiments/get",
      api: "2.0",
      access: "read",
      handle: async ({ fields, scope }) => {
        const id = experimentIdOf(requiredId(fields, "experiment_id"));
        requireExperiment(scope, id);
        return { experiment: experimentDocument((await experiments.get(id)) ?? missingExperiment(id)) };
      },
    },
    {
      method: "GET",
      path: "/mlflow/experiments/get-by-name",
      api: "2.0",
      access: "read",
      handle: async ({ fields, scope }) => {
        const name = requiredText(fields, "experiment_name");
        if (scope.kind === "experiment") return { experiment: experimentDocument(await ofStep(scope, name)) };
        const found = await experiments.byName(name);
        if (found === undefined) {
          throw mlflowError("RESOURCE_DOES_NOT_EXIST", `Could not find experiment with name '${name}'`);
        }
        return { experiment: experimentDocument(found) };
      },
    },
    change("update", async (id, { fields, scope }) => {
      requireProject(scope, "rename its experiment");
      const name = nameOf(fields, "new_name");
      return [await experiments.rename(id, name), { name }];
    }),
    change("delete", async (id, { scope }) => {
      requireProject(scope, "delete its experiment");
      return [await experiments.setStage(id, "deleted")];
    }),
    change("restore", async (id, { scope }) => {
      requireProject(scope, "restore its experiment");
      return [await experiments.setStage(id, "active")];
    }),
    change("set-experiment-tag", async (id, { fields }) => {
      const tag = experimentTagOf(fields);
      if (tag.key.startsWith(customView)) {
        const present = (await experiments.get(id))?.tags ?? [];
        if (!present.some(({ key }) => key === tag.key)) requireViews([...present, tag], id);
      }
      return [await experiments.setTag(id, tag)];
    }),
    change("delete-experiment-tag", async (id, { fields }) => {
      const key = requiredText(fields, "key");
      return [await experiments.deleteTag(id, key), { key }];
    }),
  ];
}

function nameOf(fields: Fields, member: string): string {
  const name = requiredText(fields, member);
  requireLength("name", limits.experimentName, name);
  requireNoNul(member, name);
  return name;
}

function experimentTagOf(fields: Fields): KeyValue {
  const key = requiredText(fields, "key");
  requireName("key", key);
  requireLength("key", limits.experimentTagKey, key);
  const value = optionalText(fields, "value") ?? "";
  requireLength("value", limits.experimentTagValue, value);
  requireNoNul("value", value);
  return { key, value };
}

function requireViews(tags: readonly KeyValue[], id?: string): void {
  if (tags.filter(({ key }) => key.startsWith(customView)).length <= limits.customViews) return;
  invalidParameter(
    `Unable to create another custom view${id === undefined ? "" : ` for experiment ${id}`}; the maximum number of custom views per experiment is ${limits.customViews}. Delete an existing custom view before creating a new one.`,
  );
}

function taken(name: string): never {
  throw mlflowError("RESOURCE_ALREADY_EXISTS", `Experiment(name=${name}) already exists.`);
}

function refuse(
  outcome: Exclude<ExperimentChange, "changed">,
  id: string,
  { name = "", key = "" }: { name?: string; key?: string },
): never {
  if (outcome === "missing") return missingExperiment(id);
  if (outcome === "name-taken") return taken(name);
  if (outcome === "no-tag") {
    throw mlflowError("RESOURCE_DOES_NOT_EXIST", `No tag with name: ${key} in experiment with id ${id}`);
  }
  if (name !== "") throw mlflowError("INVALID_STATE", "Cannot rename a non-active experiment.");
  return deletedExperiment(id);
}
