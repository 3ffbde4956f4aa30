import { randomUUID } from "node:crypto";
import type { ControlPlane } from "../../control-plane.ts";
import type { TrackingStatus } from "../../db/queries/experiments.ts";
import type { NewTrackedRun } from "../../db/queries/tracking/create-runs.ts";
import { changedRun, runIdOf, tagOf, uniqueTags } from "../entries.ts";
import { type Fields, fieldsList, optionalId, optionalInteger, optionalText, requiredText } from "../fields.ts";
import { invalidParameter, invalidValue, limits, requireNoNul, truncated } from "../limits.ts";
import { mlflowError } from "../mlflow-error.ts";
import { empty, type MlflowCall, type MlflowRoute } from "../mlflow-route.ts";
import { runDocument, runInfoDocument } from "../run-document.ts";
import { randomRunName } from "../run-names.ts";
import { type ExperimentScope, experimentForNew } from "../scope.ts";
import { deletedExperiment, experimentIdOf, missingExperiment, requireRun, requireRunInfo } from "../tracked.ts";

/** Runs: made, updated, deleted, restored. */
export function runsRoutes(plane: ControlPlane): MlflowRoute[] {
  const { runs } = plane.record.tracking;
  const change = (
    name: string,
    work: (id: string, call: MlflowCall) => Promise<object>,
    audited = true,
  ): MlflowRoute => ({
    method: "POST",
    path: `/mlflow/runs/${name}`,
    api: "2.0",
    access: "write",
    audited,
    handle: async (call) => {
      const id = runIdOf(call.fields);
      await requireRunInfo(plane, call.scope, id);
      return work(id, call);
    },
  });
  return [
    {
      method: "POST",
      path: "/mlflow/runs/create",
      api: "2.0",
      access: "write",
      audited: false,
      handle: async ({ fields, scope }) => {
        const run = newRunOf(fields, scope);
        const outcome = await runs.create(run);
        if (outcome.kind === "missing") missingExperiment(run.experimentId);
        if (outcome.kind === "deleted") deletedExperiment(run.experimentId);
        return JSON.stringify({ run: runDocument(outcome.run) });
      },
    },
    {
      method: "GET",
      path: "/mlflow/runs/get",
      api: "2.0",
      access: "read",
      handle: async ({ fields, scope }) =>
        JSON.stringify({ run: runDocument(await requireRun(plane, scope, runIdOf(fields))) }),
    },
    change(
      "update",
      async (id, { fields }) => {
        const status = statusOf(fields);
        const endTime = optionalInteger(fields, "end_time");
        const name = runNameOf(fields);
        const outcome = await runs.update(id, {
          ...(status === undefined ? {} : { status }),
          ...(endTime === undefined ? {} : { endTime }),
          ...(name === "" ? {} : { name }),
        });
        return { run_info: runInfoDocument(changedRun(outcome, id)) };
      },
      false,
    ),
    change("delete", async (id) => {
      changedRun(await runs.setStage(id, "deleted"), id);
      return empty;
    }),
    change("restore", async (id) => {
      changedRun(await runs.setStage(id, "active"), id);
      return empty;
    }),
    change("delete-tag", async (id, { fields }) => {
      const key = requiredText(fields, "key");
      const outcome = await runs.deleteTag(id, key);
      if (outcome.kind === "no-tag") {
        throw mlflowError("RESOURCE_DOES_NOT_EXIST", `No tag with name: ${key} in run with id ${id}`);
      }
      changedRun(outcome, id);
      return empty;
    }),
  ];
}

const statuses: readonly TrackingStatus[] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];

/** By name, or (as protobuf has enums) by number. */
function statusOf(fields: Fields): TrackingStatus | undefined {
  const value = fields["status"] ?? undefined;
  if (value === undefined) return undefined;
  const known = typeof value === "number" ? statuses[value - 1] : statuses.find((status) => status === value);
  return known ?? invalidValue("status", value, `It must be one of ${statuses.join(", ")}`);
}

function runNameOf(fields: Fields): string {
  const name = optionalText(fields, "run_name") ?? "";
  requireNoNul("run_name", name);
  return truncated(limits.tagValue, name);
}

function newRunOf(fields: Fields, scope: ExperimentScope): NewTrackedRun {
  const tags = new Map(
    uniqueTags(fieldsList(fields, "tags").map((tag, index) => tagOf(tag, `tags[${index}]`))).map(({ key, value }) => [
      key,
      value,
    ]),
  );
  const given = runNameOf(fields);
  const tagged = tags.get("mlflow.runName") ?? "";
  if (given !== "" && tagged !== "" && given !== tagged) {
    invalidParameter(
      `Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='${given}', mlflow.runName='${tagged}').`,
    );
  }
  const name = given || tagged || randomRunName();
  tags.set("mlflow.runName", name);
  if (scope.kind === "experiment" && !tags.has("mlflow.parentRunId")) {
    tags.set("mlflow.parentRunId", scope.attemptId);
  }
  const userId = optionalText(fields, "user_id") ?? "";
  requireNoNul("user_id", userId);
  return {
    id: randomUUID().replaceAll("-", ""),
    experimentId: experimentForNew(scope, experimentIdOf(optionalId(fields, "experiment_id") || "0")),
    parentRunId: tags.get("mlflow.parentRunId"),
    name,
    userId,
    startTime: optionalInteger(fields, "start_time"),
    tags: [...tags].map(([key, value]) => ({ key, value })),
  };
}
