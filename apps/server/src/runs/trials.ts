import {
  bestTrial,
  EspalierError,
  type RunRow,
  type StepRow,
  type TrialValues,
  type TuneIr,
  trialsOf,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";

interface Trial extends Pick<StepRow, "state" | "reason" | "startedAt" | "finishedAt"> {
  trial: number;
  values: TrialValues;
  metric?: number;
  attemptId?: string;
}

interface Trials extends Pick<TuneIr, "method" | "objective"> {
  runId: string;
  step: string;
  planned: number;
  best?: number;
  trials: Trial[];
}

/** NOT_FOUND: the run has no such step, or the step searches for nothing. */
export async function describeTrials({ record }: ControlPlane, run: RunRow, step: string): Promise<Trials> {
  const tune = run.pipeline.steps[step]?.tune;
  if (tune === undefined) {
    const searching = Object.entries(run.pipeline.steps).flatMap(([name, one]) =>
      one.tune === undefined ? [] : [name],
    );
    throw new EspalierError("NOT_FOUND", `Step ${step} of run ${run.id} has no trials`, {
      hint:
        searching.length === 0
          ? "No step of this pipeline has `tune:`."
          : `Steps with trials: ${searching.join(", ")}.`,
    });
  }
  const { method, objective } = tune;
  const [steps, attempts] = await Promise.all([record.engine.steps(run.id), record.engine.attempts(run.id)]);
  const rows = steps.filter((row) => row.step === step && row.branch >= 0);
  // In the order of their numbers: the last of a trial counts.
  const ids = new Map(attempts.filter((attempt) => attempt.step === step).map(({ branch, id }) => [branch, id]));
  const attemptOf = ({ branch, cachedFrom }: StepRow): string | undefined => cachedFrom ?? ids.get(branch);
  const values = await record.engine.latestMetric(
    rows.flatMap((row) => attemptOf(row) ?? []),
    objective.metric,
  );
  const metrics = new Map(
    rows.flatMap((row): [number, number][] => {
      const value = values.get(attemptOf(row) ?? "");
      return value === undefined ? [] : [[row.branch, value]];
    }),
  );
  const best = bestTrial(rows, metrics, objective.direction)?.branch;
  return {
    runId: run.id,
    step,
    method,
    objective,
    planned: method === "tpe" ? (tune.trials ?? 0) : trialsOf(tune).length,
    ...(best === undefined ? {} : { best }),
    trials: rows.map((row) => toTrial(row, metrics.get(row.branch), attemptOf(row))),
  };
}

function toTrial(row: StepRow, metric: number | undefined, attemptId: string | undefined): Trial {
  const { branch, state, item, reason, startedAt, finishedAt } = row;
  return {
    trial: branch,
    values: (item ?? {}) as TrialValues,
    state,
    ...(metric === undefined ? {} : { metric }),
    ...(reason === undefined ? {} : { reason }),
    ...(attemptId === undefined ? {} : { attemptId }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
  };
}
