import { type Digest, digestOfJson } from "../canonical-json.ts";
import type { OutputIr, PipelineIr, RetryIr, ScheduleIr, StepIr } from "./pipeline.ts";

/**
 * The canonical form of a pipeline: defaults and empty collections omitted, sets sorted, a TypeScript step's source filled in.
 * Front ends return it, so that equal pipelines are equal documents.
 */
export function normalizePipeline(pipeline: PipelineIr): PipelineIr {
  return compact({
    ir: 1 as const,
    name: pipeline.name,
    params: filled(pipeline.params),
    schedule: pipeline.schedule === undefined ? undefined : normalizeSchedule(pipeline.schedule),
    notify:
      pipeline.notify === undefined
        ? undefined
        : compact({ webhook: pipeline.notify.webhook, on: notifyOn(pipeline.notify.on) }),
    steps: Object.fromEntries(Object.entries(pipeline.steps).map(([name, step]) => [name, normalizeStep(step)])),
  });
}

/** Equal pipelines have equal digests, whatever front end wrote them. */
export function pipelineDigest(pipeline: PipelineIr): Digest {
  return digestOfJson(normalizePipeline(pipeline));
}

function normalizeStep(step: StepIr): StepIr {
  const source = step.source ?? defaultSource(step);
  return compact({
    ...step,
    source,
    inputs: filled(step.inputs),
    outputs: filled(
      step.outputs === undefined
        ? undefined
        : Object.fromEntries(
            Object.entries(step.outputs).map(([name, output]) => [name, normalizeOutput(output, step)]),
          ),
    ),
    params: asSet(step.params),
    with: filled(step.with),
    needs: asSet(step.needs),
    resources: filled(step.resources),
    nodes: step.nodes === 1 ? undefined : step.nodes,
    secrets: asSet(step.secrets),
    checkpoint: step.checkpoint === true ? true : undefined,
    retry: step.retry === undefined || step.retry.attempts === 1 ? undefined : normalizeRetry(step.retry),
    cache: step.cache === false ? false : undefined,
  });
}

/** A TypeScript step runs inside its module's folder unless it says otherwise. */
function defaultSource(step: StepIr): string | undefined {
  if (!isTypescriptStep(step)) return undefined;
  const module = (step.uses ?? "").split("#", 1)[0] ?? "";
  const folder = module.split("/").slice(0, -1).join("/");
  return folder === "" || folder === "." ? "./" : folder;
}

export function isTypescriptStep(step: Pick<StepIr, "uses">): boolean {
  return step.uses?.includes("#") ?? false;
}

/** `module#export` of a TypeScript step as its process sees it: relative to its source folder, which is its working folder. */
export function typescriptTarget(step: Pick<StepIr, "uses" | "source">): string {
  const uses = step.uses ?? "";
  const source = (step.source ?? defaultSource(step) ?? "./").replace(/\/*$/, "/");
  return uses.startsWith(source) ? `./${uses.slice(source.length)}` : uses;
}

function normalizeOutput(output: OutputIr, step: StepIr): OutputIr {
  const usual = step.run === undefined && !isTypescriptStep(step) ? "exact" : "none";
  return compact({
    ...output,
    determinism: output.determinism === usual ? undefined : output.determinism,
    portable: output.portable === true ? true : undefined,
  });
}

function normalizeSchedule(schedule: ScheduleIr): ScheduleIr {
  return compact({
    cron: schedule.cron.trim().replaceAll(/\s+/g, " "),
    timezone: schedule.timezone === "UTC" ? undefined : schedule.timezone,
    catchUp: schedule.catchUp === true ? true : undefined,
    overlap: schedule.overlap === "skip" ? undefined : schedule.overlap,
    params: filled(schedule.params),
  });
}

const everyCause = ["exit", "lost", "timeout"] as const;

function normalizeRetry(retry: RetryIr): RetryIr {
  const causes = asSet(retry.causes);
  return compact({
    ...retry,
    causes: causes?.length === everyCause.length ? undefined : causes,
    delaySeconds: retry.delaySeconds === 0 ? undefined : retry.delaySeconds,
    backoff: retry.backoff === 1 ? undefined : retry.backoff,
  });
}

function notifyOn<Event extends string>(on: readonly Event[] | undefined): Event[] | undefined {
  const events = asSet(on);
  return events?.length === 1 && events[0] === "failed" ? undefined : events;
}

function asSet<Item extends string>(items: readonly Item[] | undefined): Item[] | undefined {
  return items === undefined || items.length === 0 ? undefined : [...new Set(items)].sort();
}

function filled<Value extends object>(value: Value | undefined): Value | undefined {
  return value === undefined || Object.keys(value).length === 0 ? undefined : value;
}

type Compacted<Value> = { [Key in keyof Value]: Exclude<Value[Key], undefined> };

function compact<Value extends object>(value: Value): Compacted<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Compacted<Value>;
}
