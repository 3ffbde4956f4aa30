import type { ArtifactRef } from "../artifact.ts";
import type { Json } from "../canonical-json.ts";
import { tryParseReference } from "../ir/references.ts";
import type { RunState, StepState } from "../record/states.ts";
import { digitsOf, stepRow, type ToldRun } from "./told-run.ts";

/** A `RunEvent` as openlineage.io/spec/2-0-2/OpenLineage.json has it. */
export type LineageEvent = { readonly [key: string]: Json };

type EventType = "START" | "RUNNING" | "COMPLETE" | "FAIL" | "ABORT";

const producer = "https://www.npmjs.com/package/espalier";
const schemaURL = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

const typeOfRun: Partial<Record<RunState, EventType>> = {
  running: "START",
  succeeded: "COMPLETE",
  failed: "FAIL",
  cancelled: "ABORT",
};
const typeOfStep: Partial<Record<StepState, EventType>> = {
  running: "START",
  succeeded: "COMPLETE",
  cached: "COMPLETE",
  unchanged: "COMPLETE",
  failed: "FAIL",
  cancelled: "ABORT",
};

/** The events that a run's new state is; none for one that says nothing new. */
export function runEvents(told: ToldRun, state: RunState): LineageEvent[] {
  const type = typeOfRun[state];
  if (type === undefined) return [];
  return withStart(type, told.run.startedAt !== undefined, (one) => runEvent(told, one));
}

/** How the run is by now, in one event. */
export const presentEvent = (told: ToldRun): LineageEvent => {
  const type = typeOfRun[told.run.state];
  return runEvent(told, type === undefined || type === "START" ? "RUNNING" : type);
};

function runEvent(told: ToldRun, type: EventType): LineageEvent {
  const { run } = told;
  const started = run.startedAt ?? run.finishedAt ?? run.createdAt;
  return {
    ...common(type, type === "START" ? started : (run.finishedAt ?? started)),
    run: { runId: uuidOf(run.id), facets: { ...runFacets(told), ...errorFacet(type, run.error?.message) } },
    job: { ...jobOf(told), facets: jobFacet("PIPELINE") },
    inputs: Object.entries(run.resolved).flatMap(([name, ref]) => (ref === null ? [] : [datasetOf(told, name, ref)])),
    outputs: type === "START" ? [] : outputsOfRun(told),
  };
}

/** As `runEvents`, of a step; a skipped one did nothing that anybody is told of, and branches are not told apart. */
export function stepEvents(told: ToldRun, name: string, state: StepState): LineageEvent[] {
  const { run } = told;
  const type = typeOfStep[state];
  const row = stepRow(told, name);
  const step = run.pipeline.steps[name];
  if (type === undefined || row === undefined || step === undefined) return [];
  const started = row.startedAt ?? row.finishedAt ?? run.createdAt;
  const inputs = Object.values(step.inputs ?? {}).flatMap((text) => inputOf(told, text));
  const event = (eventType: EventType): LineageEvent => ({
    ...common(eventType, eventType === "START" ? started : (row.finishedAt ?? started)),
    run: {
      runId: uuidOf(run.id, name),
      facets: { ...runFacets(told), ...parentFacet(told), ...errorFacet(eventType, row.error?.message) },
    },
    job: { ...jobOf(told, name), facets: jobFacet("STEP") },
    inputs,
    outputs: eventType === "COMPLETE" ? outputsOfStep(told, name) : [],
  });
  return withStart(type, row.startedAt !== undefined, event);
}

/** The standard wants one START a run, and one end: what was cached, or cancelled while it waited, gets its beginning with its end. */
function withStart(type: EventType, hasStarted: boolean, event: (type: EventType) => LineageEvent): LineageEvent[] {
  return type === "START" || hasStarted ? [event(type)] : [event("START"), event(type)];
}

const common = (eventType: EventType, at: number) => ({
  eventType,
  eventTime: new Date(at).toISOString(),
  producer,
  schemaURL,
});

const namespaceOf = ({ project }: ToldRun): string => `espalier:${project}`;
const jobOf = (told: ToldRun, step?: string) => ({
  namespace: namespaceOf(told),
  name: step === undefined ? told.run.pipeline.name : `${told.run.pipeline.name}.${step}`,
});

const facet = (name: string, version: string) => ({
  _producer: producer,
  _schemaURL: `https://openlineage.io/spec/facets/${version}/${name}.json#/$defs/${name}`,
});

function runFacets({ run }: ToldRun) {
  const tags = { "espalier.run_id": run.id, "espalier.stack": run.stack, "espalier.trigger": run.trigger.kind };
  return {
    tags: {
      ...facet("TagsRunFacet", "1-0-0"),
      tags: Object.entries(tags).map(([key, value]) => ({ key, value, source: "ESPALIER" })),
    },
    ...(run.logicalDate === undefined
      ? {}
      : { nominalTime: { ...facet("NominalTimeRunFacet", "1-0-1"), nominalStartTime: run.logicalDate } }),
  };
}

function parentFacet(told: ToldRun) {
  const parent = { run: { runId: uuidOf(told.run.id) }, job: jobOf(told) };
  return { parent: { ...facet("ParentRunFacet", "1-2-0"), ...parent, root: parent } };
}

/** The language is what the standard asks for; of a step's command it is not known. */
const errorFacet = (type: EventType, message: string | undefined) =>
  type !== "FAIL" || message === undefined
    ? {}
    : { errorMessage: { ...facet("ErrorMessageRunFacet", "1-0-1"), message, programmingLanguage: "UNKNOWN" } };

const jobFacet = (jobType: "PIPELINE" | "STEP") => ({
  jobType: { ...facet("JobTypeJobFacet", "2-0-4"), processingType: "BATCH", integration: "ESPALIER", jobType },
});

function datasetOf(told: ToldRun, name: string, { digest }: ArtifactRef) {
  const version = { ...facet("DatasetVersionDatasetFacet", "1-0-1"), datasetVersion: digest };
  return { namespace: namespaceOf(told), name, facets: { version } };
}

/** By the same names as the outputs that they are, so that a graph is drawn. */
function inputOf(told: ToldRun, text: string) {
  const reference = tryParseReference(text);
  if (reference?.kind !== "step") {
    const ref = told.run.resolved[text];
    return ref === undefined || ref === null ? [] : [datasetOf(told, text, ref)];
  }
  const ref = stepRow(told, reference.step)?.outputs?.[reference.output];
  return ref === undefined ? [] : [datasetOf(told, outputName(told, reference.step, reference.output), ref)];
}

const outputName = ({ run }: ToldRun, step: string, output: string): string => `${run.pipeline.name}.${step}.${output}`;

const outputsOfStep = (told: ToldRun, step: string) =>
  Object.entries(stepRow(told, step)?.outputs ?? {}).map(([name, ref]) =>
    datasetOf(told, outputName(told, step, name), ref),
  );

const outputsOfRun = (told: ToldRun) =>
  Object.keys(told.run.pipeline.steps).flatMap((step) => outputsOfStep(told, step));

/** OpenLineage asks for UUIDs; the same run, or step of it, always has the same. */
function uuidOf(...parts: readonly string[]): string {
  const hex = digitsOf(32, ...parts);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
