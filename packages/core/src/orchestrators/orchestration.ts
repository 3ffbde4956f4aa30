import { dependenciesOf } from "../ir/graph.ts";
import type { ParameterValue, PipelineIr, ScheduleIr } from "../ir/pipeline.ts";

/** What another orchestrator is told of a pipeline: its steps are tasks there, each of which sees to its step in a run that all of them share. */
export interface Orchestration {
  project: string;
  pipeline: PipelineIr;
  /** Left out: the control plane's own. */
  stack?: string;
}

/** Something that the pipeline says and the other orchestrator does not do, or not so. */
export interface Loss {
  /** Names of the steps it is about; none: the whole pipeline. */
  steps: readonly string[];
  what: string;
}

/** What `${{ run.date }}` is called in exported files: both Airflow and Argo have a meaning of their own for double braces. */
const dateMark = "<run.date>";

/** Of a scheduled run: defaults, and what the schedule gives instead. */
export function exportedParameters({ params = {}, schedule }: PipelineIr): Record<string, ParameterValue> {
  const scheduled = Object.entries(schedule?.params ?? {}).map(([name, value]): [string, ParameterValue] => [
    name,
    typeof value === "string" ? value.replaceAll(/\$\{\{\s*run\.date\s*\}\}/g, dateMark) : value,
  ]);
  return { ...params, ...Object.fromEntries(scheduled) };
}

/** Needs of each step; the steps that nothing needs. */
export function taskGraph(pipeline: PipelineIr): { needs: Record<string, readonly string[]>; last: string[] } {
  const needs = Object.fromEntries(dependenciesOf(pipeline));
  const needed = new Set(Object.values(needs).flat());
  return { needs, last: Object.keys(needs).filter((step) => !needed.has(step)) };
}

/** What each orchestrator outside loses, since the control plane drives the run. */
export function sharedLosses(pipeline: PipelineIr, where: { name: string; branches: string }): Loss[] {
  const steps = Object.entries(pipeline.steps);
  const named = (has: (step: PipelineIr["steps"][string]) => boolean): string[] =>
    steps.filter(([, step]) => has(step)).map(([name]) => name);
  const about = (of: string[], what: string): Loss[] => (of.length === 0 ? [] : [{ steps: of, what }]);
  return [
    {
      steps: [],
      what: `The control plane must run, and be reached from ${where.name}: it drives the run, and keeps cache, record and artifacts.`,
    },
    {
      steps: [],
      what: `A step begins as soon as its inputs are there, not when its task does: pausing or throttling tasks of ${where.name} holds no step back.`,
    },
    ...about(
      named(({ map, tune }) => map !== undefined || tune !== undefined),
      where.branches,
    ),
    ...about(
      named(({ compute, resources }) => compute !== undefined || resources !== undefined),
      `Compute and resources are those of the stack; ${where.name} knows nothing of them, its task only waits.`,
    ),
    ...about(
      named(({ retry, timeoutSeconds }) => retry !== undefined || timeoutSeconds !== undefined),
      `Retries by cause and timeouts are the control plane's; a retry of ${where.name}'s task resumes the run once these are used up.`,
    ),
    ...about(
      named(({ uses }) => uses === "approve"),
      "It is approved in Espalier (`espalier approve`, the web UI); its task waits until then.",
    ),
    ...(pipeline.schedule === undefined
      ? []
      : [
          {
            steps: [],
            what: `Espalier's own schedule stays in force: \`espalier schedule pause ${pipeline.name}\`, or each date is run by both.`,
          },
        ]),
  ];
}

export const overlapOf = (schedule: ScheduleIr): "skip" | "queue" | "allow" => schedule.overlap ?? "skip";
