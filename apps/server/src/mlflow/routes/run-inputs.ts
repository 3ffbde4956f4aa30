import type { ControlPlane } from "../../control-plane.ts";
import type { KeyValue } from "../../db/queries/tracking/experiments.ts";
import type { RunDataset } from "../../db/queries/tracking/run-data.ts";
import { changedRun, runIdOf } from "../entries.ts";
import { asFields, type Fields, fieldsList, optionalInteger, optionalText, requiredText } from "../fields.ts";
import { parseJson, writeJson } from "../int64-json.ts";
import { invalidParameter, limits, requireLength, requireNoNul, requireRunId } from "../limits.ts";
import { empty, type MlflowCall, type MlflowRoute } from "../mlflow-route.ts";
import { requireRunInfo } from "../tracked.ts";

/** What a run read and made: data sets and models. */
export function runInputsRoutes(plane: ControlPlane): MlflowRoute[] {
  const { inputs, runs } = plane.record.tracking;
  const route = (name: string, work: (id: string, call: MlflowCall) => Promise<void>): MlflowRoute => ({
    method: "POST",
    path: name === "outputs" ? "/mlflow/runs/outputs" : `/mlflow/runs/${name}`,
    api: "2.0",
    access: "write",
    audited: false,
    // One profile may have 16 MB.
    bodyLimit: 32 * 1024 * 1024,
    handle: async (call) => {
      const id = runIdOf(call.fields);
      requireRunId(id);
      await requireRunInfo(plane, call.scope, id);
      await work(id, call);
      return empty;
    },
  });
  return [
    route("log-inputs", async (id, { fields }) => {
      const datasets = fieldsList(fields, "datasets").map(datasetInputOf);
      const models = fieldsList(fields, "models").map((model) => requiredText(model, "model_id"));
      requireFewer("datasets", datasets.length);
      requireFewer("models", models.length);
      changedRun(await inputs.logInputs(id, datasets, models), id);
    }),
    route("outputs", async (id, { fields }) => {
      if (fields["models"] === undefined || fields["models"] === null) requiredText(fields, "models");
      const models = fieldsList(fields, "models").map((model) => ({
        modelId: requiredText(model, "model_id"),
        step: optionalInteger(model, "step") ?? 0,
      }));
      requireFewer("models", models.length);
      changedRun(await inputs.logOutputs(id, models), id);
    }),
    route("log-model", async (id, { fields }) => {
      const model = loggedModelOf(requiredText(fields, "model_json"));
      // A repeated request adds nothing.
      const add = (old: string | undefined): string => {
        const known = old === undefined ? [] : asList(parseJson(old));
        return known.some((one) => writeJson(one) === writeJson(model)) ? (old ?? "[]") : writeJson([...known, model]);
      };
      changedRun(await runs.changeTag(id, "mlflow.log-model.history", add), id);
    }),
  ];
}

function requireFewer(what: string, length: number): void {
  if (length > limits.datasetsABatch) {
    invalidParameter(`A request can contain at most ${limits.datasetsABatch} ${what}. Got ${length} ${what}.`);
  }
}

function datasetInputOf(fields: Fields, index: number): RunDataset {
  const path = `datasets[${index}]`;
  if (fields["dataset"] === undefined || fields["dataset"] === null) invalidParameter("Dataset cannot be None");
  const dataset = asFields(fields["dataset"], `${path}.dataset`);
  const member = (name: string, limit: number): string | undefined => {
    const value = optionalText(dataset, name);
    if (value === undefined) return undefined;
    requireLength(name, limit, value);
    requireNoNul(`${path}.dataset.${name}`, value);
    return value;
  };
  const required = (name: string, limit: number): string =>
    member(name, limit) ?? invalidParameter(`Dataset ${name} cannot be None`);
  return {
    name: required("name", limits.datasetName),
    digest: required("digest", limits.datasetDigest),
    sourceType: member("source_type", limits.datasetName) ?? "",
    source: required("source", limits.datasetSource),
    schema: member("schema", limits.datasetSchema),
    profile: member("profile", limits.datasetProfile),
    tags: fieldsList(fields, "tags").map(inputTagOf),
  };
}

function inputTagOf(fields: Fields): KeyValue {
  const [key, value] = (["key", "value"] as const).map((name) => {
    const text = optionalText(fields, name) ?? invalidParameter(`InputTag ${name} cannot be None`);
    requireLength(name, name === "key" ? limits.inputTagKey : limits.inputTagValue, text);
    requireNoNul(name, text);
    return text;
  });
  return { key: key ?? "", value: value ?? "" };
}

const modelMembers = ["run_id", "utc_time_created", "artifact_path", "model_uuid"] as const;
const mandatory = ["artifact_path", "flavors", "utc_time_created", "run_id"] as const;

/** As old clients log a model: what MLflow keeps of an MLmodel in the run's tag. */
function loggedModelOf(text: string): object {
  let parsed: unknown;
  try {
    parsed = parseJson(text);
  } catch {
    return invalidParameter(`Malformed model info. \n ${text.slice(0, 1000)} \n is not a valid JSON.`);
  }
  const model = asFields(parsed, "model_json");
  const missing = mandatory.filter((name) => model[name] === undefined);
  if (missing.length > 0) {
    invalidParameter(`Model json is missing mandatory fields: {${missing.map((name) => `'${name}'`).join(", ")}}`);
  }
  const flavors = Object.entries(asFields(model["flavors"], "flavors")).map(([name, flavor]) => {
    if (typeof flavor !== "object" || flavor === null || Array.isArray(flavor)) return [name, flavor];
    const { config: _, ...rest } = flavor as Fields;
    return [name, rest];
  });
  const kept = modelMembers.flatMap((name) => (model[name] === undefined ? [] : [[name, model[name]]]));
  requireNoNul("model_json", text);
  return Object.fromEntries([...kept, ["flavors", Object.fromEntries(flavors)]]);
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}
