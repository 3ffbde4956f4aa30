import {
  type BuiltinDeclaration,
  createEngine,
  type Engine,
  type EngineOptions,
  type RunRow,
  recordBuiltins,
  ulid,
} from "@espalier/core";
import { platformName } from "@espalier/host";
import { systemClock } from "./clock.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { ProjectRecord } from "./db/record.ts";
import { recordLineage } from "./lineage/run-lineage.ts";
import { enqueueRunNotice } from "./notices/notices.ts";
import { fireQueued } from "./schedules/schedules.ts";
import { approveStep } from "./steps/approve.ts";
import { datasetStep } from "./steps/dataset.ts";
import { deployStep } from "./steps/deploy.ts";
import { findVerdictResult, recordVerdict } from "./steps/gate-verdict.ts";
import { packageStep } from "./steps/package.ts";
import { registerStep } from "./steps/register.ts";
import { replacePartitionsStep } from "./steps/replace-partitions.ts";

/**
 * Renewed at a third of it. On SQLite the owner's lock tells who is dead, so that a busy process need not fear for its runs. On PostgreSQL
 * nothing else tells: an owner that died just after a renewal is followed within this and the third at which the others look, 10 s at most.
 */
const leaseSeconds = { sqlite: 30, postgres: 7.5 } as const;
const graceSeconds = 10;

export function builtinsByName(dataBuiltins: readonly BuiltinDeclaration[]): Record<string, BuiltinDeclaration> {
  return {
    ...Object.fromEntries(dataBuiltins.map((builtin) => [builtin.name, builtin])),
    ...recordBuiltins,
  };
}

/** `plane` is asked for when a step runs: the engine is part of what it gives. */
export function makeEngine(
  parts: Pick<EngineOptions, "artifacts" | "staging" | "runnerFor" | "builtins" | "proposeTrial" | "host"> & {
    record: ProjectRecord;
  },
  plane: () => ControlPlane,
): Engine {
  return createEngine({
    ...parts,
    record: parts.record.engine,
    recordSteps: {
      dataset: datasetStep(plane),
      "replace-partitions": replacePartitionsStep(plane),
      register: registerStep(plane),
      package: packageStep(plane),
      deploy: deployStep(plane),
      approve: approveStep(plane),
    },
    recorders: { gate: recordVerdict(parts.record) },
    findVerdict: (candidate, policy) => findVerdictResult(parts.record, candidate, policy),
    owner: ulid(),
    platform: platformName(),
    newId: ulid,
    clock: systemClock,
    leaseSeconds: leaseSeconds[parts.record.kind],
    graceSeconds,
    onRunEnded: (run) => runEnded(plane(), run),
    onError: (error, { runId, doing }) => plane().logger.error({ err: error, runId }, `fault while ${doing}`),
  });
}

/** Each of these may be repeated; one that fails must not keep the others from happening. */
async function runEnded(plane: ControlPlane, run: RunRow): Promise<void> {
  const duties = [
    plane.record.approvals.cancelOfRun(run.id),
    recordLineage(plane, run),
    enqueueRunNotice(plane, run),
    fireQueued(plane, run),
  ];
  for (const result of await Promise.allSettled(duties)) {
    if (result.status === "rejected")
      plane.logger.error({ err: result.reason, runId: run.id }, "after the end of a run");
  }
}
