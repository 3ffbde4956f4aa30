import type { AttemptRow, StepRow } from "../record/engine-record.ts";
import { type RunState, type StepState, terminalRunStates, terminalStepStates } from "../record/states.ts";
import { digitsOf, stepRow, type ToldRun } from "./told-run.ts";

/** A span of a trace, as OpenTelemetry means it; times in milliseconds since 1970. */
export interface RunSpan {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  parentSpanId?: string;
  name: string;
  startedAt: number;
  finishedAt: number;
  attributes: Readonly<Record<string, string | number | boolean>>;
  /** Of another trace that this one goes on with. */
  link?: { traceId: string; spanId: string };
  outcome: "ok" | "error" | "unset";
  message?: string;
}

/** Of a step with more branches the rest has no span, and the step says how many there were. */
const mostBranches = 1_000;

const traceOf = (runId: string): { traceId: string; spanId: string } => ({
  traceId: digitsOf(32, "trace", runId),
  spanId: digitsOf(16, "run", runId),
});
const spanOfStep = ({ runId, step, branch }: Pick<StepRow, "runId" | "step" | "branch">): string =>
  digitsOf(16, "step", runId, step, String(branch));

/** As the semantic conventions for CI/CD pipelines name results (opentelemetry.io/docs/specs/semconv/cicd). */
const results: Partial<Record<RunState | StepState, string>> = {
  succeeded: "success",
  cached: "success",
  unchanged: "success",
  failed: "failure",
  cancelled: "cancellation",
  pruned: "cancellation",
  skipped: "skip",
};

/** The run's own span, once it has ended; those of its steps are below it and are told before. */
export function runSpans({ project, run }: ToldRun, state: RunState): RunSpan[] {
  if (!terminalRunStates.includes(state)) return [];
  const { resumes } = run.options;
  return [
    {
      ...traceOf(run.id),
      name: run.pipeline.name,
      startedAt: run.createdAt,
      finishedAt: run.finishedAt ?? run.createdAt,
      ...(resumes === undefined ? {} : { link: traceOf(resumes) }),
      attributes: {
        "cicd.pipeline.name": run.pipeline.name,
        "cicd.pipeline.run.id": run.id,
        ...resultOf("cicd.pipeline.result", state),
        "espalier.project": project,
        "espalier.stack": run.stack,
        "espalier.state": state,
        "espalier.trigger": run.trigger.kind,
        ...(run.logicalDate === undefined ? {} : { "espalier.logical_date": run.logicalDate }),
        ...Object.fromEntries(Object.entries(run.params).map(([name, value]) => [`espalier.param.${name}`, value])),
      },
      ...outcomeOf(state, run.error?.code, run.error?.message),
    },
  ];
}

/** A step that has ended, with its branches and all attempts below them. */
export function stepSpans(told: ToldRun, name: string, state: StepState): RunSpan[] {
  const row = stepRow(told, name);
  if (row === undefined || !terminalStepStates.includes(state)) return [];
  const { traceId, spanId } = traceOf(told.run.id);
  const branches = told.steps.filter(({ step, branch }) => step === name && branch >= 0);
  const kept = branches.filter(({ branch, state: one }) => branch < mostBranches && terminalStepStates.includes(one));
  const attempts = new Map<number, AttemptRow[]>();
  for (const attempt of told.attempts) {
    if (attempt.step !== name) continue;
    attempts.set(attempt.branch, [...(attempts.get(attempt.branch) ?? []), attempt]);
  }
  return [row, ...kept].flatMap((one) => {
    const own = stepSpan(told, one, traceId, one.branch === -1 ? spanId : spanOfStep(row));
    const count = one.branch === -1 && branches.length > 0 ? { "espalier.branches": branches.length } : {};
    const below = (attempts.get(one.branch) ?? []).map((attempt) => attemptSpan(attempt, own));
    return [{ ...own, attributes: { ...own.attributes, ...count } }, ...below];
  });
}

function stepSpan({ run }: ToldRun, row: StepRow, traceId: string, parentSpanId: string): RunSpan {
  const finishedAt = row.finishedAt ?? run.finishedAt ?? run.createdAt;
  return {
    traceId,
    spanId: spanOfStep(row),
    parentSpanId,
    name: row.branch === -1 ? row.step : `${row.step}[${row.branch}]`,
    startedAt: row.startedAt ?? finishedAt,
    finishedAt,
    attributes: {
      "cicd.pipeline.task.name": row.step,
      "cicd.pipeline.task.run.id": `${run.id}/${row.step}${row.branch === -1 ? "" : `/${row.branch}`}`,
      ...resultOf("cicd.pipeline.task.run.result", row.state),
      "espalier.state": row.state,
      ...(row.reason === undefined ? {} : { "espalier.reason": row.reason }),
      ...(row.cacheKey === undefined ? {} : { "espalier.cache_key": row.cacheKey }),
      ...(row.cachedFrom === undefined ? {} : { "espalier.cached_from": row.cachedFrom }),
    },
    ...outcomeOf(row.state, row.error?.code, row.error?.message),
  };
}

function attemptSpan(attempt: AttemptRow, parent: RunSpan): RunSpan {
  const { state, cause, exitCode, message } = attempt;
  const isBad = state === "failed" || state === "lost";
  return {
    traceId: parent.traceId,
    spanId: digitsOf(16, "attempt", attempt.id),
    parentSpanId: parent.spanId,
    name: `${parent.name} attempt ${attempt.number}`,
    startedAt: attempt.startedAt ?? attempt.createdAt,
    finishedAt: attempt.finishedAt ?? parent.finishedAt,
    attributes: {
      "espalier.attempt.id": attempt.id,
      "espalier.attempt.number": attempt.number,
      "espalier.attempt.tool": attempt.tool,
      "espalier.attempt.state": state,
      // Between these it waited for a machine.
      "espalier.attempt.waited_ms": Math.max(0, (attempt.startedAt ?? attempt.createdAt) - attempt.createdAt),
      ...(exitCode === undefined ? {} : { "process.exit.code": exitCode }),
      ...(cause === undefined ? {} : { "error.type": cause }),
    },
    outcome: isBad ? "error" : state === "succeeded" ? "ok" : "unset",
    ...(isBad && message !== undefined ? { message } : {}),
  };
}

const resultOf = (key: string, state: RunState | StepState): Record<string, string> => {
  const result = results[state];
  return result === undefined ? {} : { [key]: result };
};

function outcomeOf(state: RunState | StepState, code?: string, message?: string): Pick<RunSpan, "outcome" | "message"> {
  if (state === "failed")
    return { outcome: "error", ...(message === undefined ? {} : { message: `${code}: ${message}` }) };
  return { outcome: results[state] === "success" ? "ok" : "unset" };
}
