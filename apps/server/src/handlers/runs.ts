import { EspalierError, terminalRunStates } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { createRun, resumeRun } from "../runs/create-run.ts";
import { explainStep } from "../runs/explain-step.ts";
import { followRun } from "../runs/follow-run.ts";
import { readRunSearch } from "../runs/read-run-search.ts";
import { describeRun, summaryOf } from "../runs/run-detail.ts";
import { describeTrials } from "../runs/trials.ts";
import { actorOf } from "./actor.ts";

export function runHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"runs">> {
  const { record, engine } = plane;
  const runOf = async (reference: string) => {
    const runId = await record.runs.resolve(reference);
    const run = await record.runs.get(runId);
    if (run === undefined) throw new EspalierError("NOT_FOUND", `There is no run ${reference}`);
    return run;
  };
  return {
    "runs.list": ({ query: { search, ...query } }) =>
      record.runs.list(search === undefined ? query : { ...query, search: readRunSearch(search) }, query),
    "runs.create": async (input) => summaryOf(await createRun(plane, input.body, actorOf(input))),
    "runs.get": async ({ params }) => describeRun(plane, await runOf(params.runId)),
    "runs.pipeline": async ({ params }) => {
      const run = await runOf(params.runId);
      return { digest: run.pipelineDigest, ir: run.pipeline };
    },
    "runs.metrics": async ({ params, query }) => {
      const page = await record.runMetrics.history(await record.runs.resolve(params.runId), query, query);
      return {
        ...page,
        items: page.items.map((point) => ({
          ...point,
          value: printable(point.value),
          step: Number(point.step),
          timestamp: Number(point.timestamp),
        })),
      };
    },
    "runs.curves": async ({ params, query }) => {
      const { curves, leftOut } = await record.curves.ofRun(
        await record.runs.resolve(params.runId),
        query,
        query.buckets,
      );
      const printed = (value: number) => printable(value) as number | "Infinity" | "-Infinity";
      return {
        leftOut,
        curves: curves.map((curve) => ({
          ...curve,
          buckets: curve.buckets.map((bucket) => ({
            ...bucket,
            low: printed(bucket.low),
            high: printed(bucket.high),
            mean: Number.isNaN(bucket.mean) ? printed(bucket.high) : printed(bucket.mean),
          })),
        })),
      };
    },
    "runs.compare": async ({ query }) => {
      const references = query.ids.split(",").filter((id) => id !== "");
      const compared = await record.runMetrics.compare(
        await Promise.all(references.map((reference) => record.runs.resolve(reference))),
      );
      return {
        ...compared,
        metrics: compared.metrics.map((metric) => ({
          ...metric,
          values: metric.values.map((value) => (value === null ? null : printable(value))),
        })),
        outputs: compared.outputs.map((output) => ({
          ...output,
          digests: output.digests as (`sha256:${string}` | null)[],
        })),
      };
    },
    "runs.events": ({ params, query, lastEventId, signal }) =>
      followRun(plane, params.runId, query.after ?? Number(lastEventId ?? 0), signal),
    "runs.eventLog": async ({ params, query }) => {
      const runId = await record.runs.resolve(params.runId);
      const items = await record.runs.events(runId, Number(query.cursor ?? 0), query.limit);
      const last = items.at(-1);
      return { items, ...(items.length === query.limit && last ? { next: String(last.number) } : {}) };
    },
    "runs.cancel": async ({ params }) => {
      const run = await runOf(params.runId);
      if (!terminalRunStates.includes(run.state)) {
        await record.engine.requestCancel(run.id);
        engine.wake(run.id);
      }
      return summaryOf(await runOf(run.id));
    },
    "runs.resume": async (input) => {
      const run = await runOf(input.params.runId);
      return summaryOf(await resumeRun(plane, run, input.body ?? {}, actorOf(input)));
    },
    "runs.why": async ({ params, query }) => explainStep(plane, await runOf(params.runId), params.step, query.branch),
    "runs.trials": async ({ params }) => {
      const { best, ...told } = await describeTrials(plane, await runOf(params.runId), params.step);
      const trials = told.trials.map(({ metric, ...trial }) => ({
        ...trial,
        ...(metric === undefined ? {} : { metric: printable(metric) }),
      }));
      return { ...told, trials, ...(best === undefined ? {} : { best }) };
    },
    "runs.approve": async (input) => {
      const run = await runOf(input.params.runId);
      const waiting = await record.approvals.ofStep(run.id, input.params.step);
      if (waiting === undefined) {
        throw new EspalierError("NOT_FOUND", `Step ${input.params.step} of run ${run.id} waits for nobody`, {
          hint: "`espalier runs show` tells what each step waits for.",
        });
      }
      const decided = await record.approvals.decide(waiting.id, {
        decision: input.body.decision,
        decidedBy: actorOf(input),
        ...(input.body.comment === undefined ? {} : { comment: input.body.comment }),
      });
      engine.wake(run.id);
      return { id: decided.id, decision: input.body.decision };
    },
  };
}

/** JSON has no NaN and no infinities. */
function printable(value: number): number | "NaN" | "Infinity" | "-Infinity" {
  return Number.isFinite(value) ? value : (String(value) as "NaN" | "Infinity" | "-Infinity");
}
