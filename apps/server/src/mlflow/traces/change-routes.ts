import type { ControlPlane } from "../../control-plane.ts";
import type { TraceDeletion } from "../../db/queries/traces/delete-traces.ts";
import {
  type Fields,
  fieldsList,
  missing,
  optionalCount,
  optionalInteger,
  requiredId,
  requiredText,
  textList,
} from "../fields.ts";
import { invalidParameter, requireLength, requireNoNul } from "../limits.ts";
import { mlflowError } from "../mlflow-error.ts";
import { empty, type MlflowCall, type MlflowRoute } from "../mlflow-route.ts";
import { requireExperiment } from "../scope.ts";
import { experimentIdOf, requireRunInfo } from "../tracked.ts";
import { requireTraceInScope } from "./known-trace.ts";
import { readTag, requireMutableTag } from "./read-trace.ts";

const mostLinks = 100;
const mostDeletedIds = 10_000;
const longestPrompt = 500;

/** What is changed of a trace that is there: its tags, what it belongs to, and that it is. The same in both versions of the API. */
export function changeRoutes(plane: ControlPlane): MlflowRoute[] {
  const { traces } = plane.record;

  const setTag = async (id: string, { fields, scope }: MlflowCall): Promise<object> => {
    const tag = readTag(fields);
    await requireTraceInScope(plane, scope, id);
    await traces.setTag(id, tag);
    return empty;
  };
  const deleteTag = async (id: string, { fields, scope }: MlflowCall): Promise<object> => {
    const key = requiredText(fields, "key");
    requireMutableTag(key, "deleted");
    const experimentId = await traces.experimentOf(id);
    if (experimentId !== undefined) requireExperiment(scope, experimentId);
    if (experimentId !== undefined && (await traces.deleteTag(id, key))) return empty;
    throw mlflowError("RESOURCE_DOES_NOT_EXIST", `No trace tag with key '${key}' for trace with ID '${id}'`);
  };
  const remove = async ({ fields, scope }: MlflowCall): Promise<object> => {
    const deletion = readDeletion(fields);
    requireExperiment(scope, deletion.experimentId);
    return { traces_deleted: await traces.delete(deletion) };
  };
  const linkToRun = async ({ fields, scope }: MlflowCall): Promise<object> => {
    const ids = textList(fields, "trace_ids");
    if (ids.length === 0) missing("trace_ids");
    if (ids.length > mostLinks) {
      invalidParameter(
        `Cannot link more than ${mostLinks} traces to a run in a single request. Provided ${ids.length} traces.`,
      );
    }
    const { id: runId } = await requireRunInfo(plane, scope, requiredText(fields, "run_id"));
    await requireAllInScope(ids, scope);
    await traces.link(ids, "run", [runId]);
    return empty;
  };
  const linkPrompts = async ({ fields, scope }: MlflowCall): Promise<object> => {
    const id = requiredText(fields, "trace_id");
    const prompts = fieldsList(fields, "prompt_versions").map(promptOf);
    if (prompts.length > mostLinks) invalidParameter(`A request may link ${mostLinks} prompts`);
    await requireTraceInScope(plane, scope, id);
    await traces.link([id], "prompt", prompts);
    return empty;
  };

  const requireAllInScope = async (ids: readonly string[], scope: MlflowCall["scope"]): Promise<void> => {
    if (scope.kind === "project") return;
    for (const { experimentId } of await traces.getAll(ids)) requireExperiment(scope, experimentId);
  };

  const write = (
    method: MlflowRoute["method"],
    api: MlflowRoute["api"],
    path: string,
    handle: MlflowRoute["handle"],
  ): MlflowRoute => ({ method, api, path: `/mlflow/traces${path}`, access: "write", handle });

  return [
    ...(["2.0", "3.0"] as const).flatMap((api) => {
      const name = api === "2.0" ? "request_id" : "trace_id";
      return [
        write("PATCH", api, `/:${name}/tags`, (call) => setTag(requiredText(call.fields, name), call)),
        write("DELETE", api, `/:${name}/tags`, (call) => deleteTag(requiredText(call.fields, name), call)),
        write("POST", api, "/delete-traces", remove),
      ];
    }),
    write("POST", "2.0", "/link-to-run", linkToRun),
    write("POST", "2.0", "/link-prompts", linkPrompts),
  ];
}

function readDeletion(fields: Fields): TraceDeletion {
  const experimentId = experimentIdOf(requiredId(fields, "experiment_id"));
  const ids = textList(fields, "request_ids");
  const until = optionalInteger(fields, "max_timestamp_millis");
  const most = optionalCount(fields, "max_traces");
  if (until === undefined && ids.length === 0) {
    invalidParameter("Either `max_timestamp_millis` or `trace_ids` must be specified.");
  }
  if (until !== undefined && ids.length > 0) {
    invalidParameter("Only one of `max_timestamp_millis` and `trace_ids` can be specified.");
  }
  if (ids.length > 0 && most !== undefined) {
    invalidParameter("`max_traces` can't be specified if `trace_ids` is specified.");
  }
  if (most !== undefined && most <= 0) invalidParameter(`\`max_traces\` must be a positive integer, received ${most}.`);
  if (ids.length > mostDeletedIds) invalidParameter(`A request may delete ${mostDeletedIds} traces by their ids`);
  if (until === undefined) return { experimentId, which: { ids } };
  return { experimentId, which: { until, most: most ?? Number.MAX_SAFE_INTEGER } };
}

function promptOf(fields: Fields): string {
  const name = requiredText(fields, "name");
  const version = requiredId(fields, "version");
  if (!/^\d{1,18}$/.test(version)) invalidParameter(`Invalid value '${version.slice(0, 50)}' for a prompt's version`);
  requireNoNul("name", name);
  requireLength("name", longestPrompt, name);
  return `${name}/${version}`;
}
