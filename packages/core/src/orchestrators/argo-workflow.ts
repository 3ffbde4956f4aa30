import type { Json } from "../canonical-json.ts";
import type { ParameterValue } from "../ir/pipeline.ts";
import {
  exportedParameters,
  type Loss,
  type Orchestration,
  overlapOf,
  sharedLosses,
  taskGraph,
} from "./orchestration.ts";

export interface ArgoOrchestration extends Orchestration {
  /** Text of `python/espalier_run.py`, which each task runs. */
  program: string;
  /** Any with Python 3.8 or newer. */
  image: string;
}

type Document = { [key: string]: Json };
interface Parameter extends Document {
  name: string;
  value: string;
}

/** The Kubernetes secret with the control plane's `url` and a `token`. */
const secret = "espalier";
/** `argo retry -p resume=yes`: what failed is tried anew. A first try only tells, since a step may fail before its pod begins. */
const resume: Parameter = { name: "resume", value: "no" };
/** Not a step's name, which has no capital. */
const outcome = "Outcome";

/**
 * A WorkflowTemplate of Argo Workflows (argo-workflows.readthedocs.io, v1alpha1), and with a schedule a CronWorkflow, as the documents that their YAML says.
 */
export function argoWorkflows(orchestration: ArgoOrchestration): Document[] {
  const { project, pipeline } = orchestration;
  const name = resourceName(`${project}-${pipeline.name}`);
  const parameters = workflowParameters("", pipeline.params ?? {});
  const template: Document = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "WorkflowTemplate",
    metadata: { name, labels: { "app.kubernetes.io/managed-by": "espalier" } },
    spec: {
      entrypoint: "pipeline",
      arguments: { parameters: [resume, ...parameters] },
      templates: [pipelineTemplate(orchestration, parameters), stepTemplate(orchestration, name, parameters)],
    },
  };
  const { schedule } = pipeline;
  if (schedule === undefined) return [template];
  const overlap = overlapOf(schedule);
  const scheduled = workflowParameters("{{workflow.scheduledTime}}", exportedParameters(pipeline));
  const cron: Document = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "CronWorkflow",
    metadata: { name, labels: { "app.kubernetes.io/managed-by": "espalier" } },
    spec: {
      schedules: [schedule.cron],
      timezone: schedule.timezone ?? "UTC",
      concurrencyPolicy: overlap === "skip" ? "Forbid" : "Allow",
      workflowSpec: {
        entrypoint: "scheduled",
        arguments: { parameters: [resume] },
        ...(overlap === "queue" ? { synchronization: { mutexes: [{ name }] } } : {}),
        templates: [
          {
            name: "scheduled",
            dag: {
              tasks: [
                { name: "run", templateRef: { name, template: "pipeline" }, arguments: { parameters: scheduled } },
              ],
            },
          },
        ],
      },
    },
  };
  return [template, cron];
}

function pipelineTemplate({ pipeline }: ArgoOrchestration, parameters: readonly Parameter[]): Document {
  const { needs, last } = taskGraph(pipeline);
  const handed = parameters.map(({ name }): Parameter => ({ name, value: `{{inputs.parameters.${name}}}` }));
  const task = (name: string, step: string, dependencies: readonly string[]): Document => ({
    name,
    template: "step",
    ...(dependencies.length === 0 ? {} : { dependencies: dependencies.map(taskName) }),
    arguments: { parameters: [{ name: "step", value: step }, ...handed] },
  });
  return {
    name: "pipeline",
    inputs: { parameters: parameters.map(({ name }) => ({ name })) },
    dag: {
      // Other branches of the graph go on, as they do in Espalier.
      failFast: false,
      tasks: [
        ...Object.entries(needs).map(([step, before]) => task(taskName(step), step, before)),
        // How Espalier's run ended, also where the pipeline has got steps since it was exported.
        task(outcome, "", last),
      ],
    },
  };
}

function stepTemplate(
  { pipeline, stack, program, image }: ArgoOrchestration,
  name: string,
  parameters: readonly Parameter[],
): Document {
  const fromSecret = (key: string): Json => ({ valueFrom: { secretKeyRef: { name: secret, key } } });
  const env: Document[] = [
    { name: "ESPALIER_URL", ...(fromSecret("url") as Document) },
    { name: "ESPALIER_TOKEN", ...(fromSecret("token") as Document) },
    { name: "ESPALIER_PIPELINE", value: pipeline.name },
    ...(stack === undefined ? [] : [{ name: "ESPALIER_STACK", value: stack }]),
    { name: "ESPALIER_STEP", value: "{{inputs.parameters.step}}" },
    { name: "ESPALIER_DATE", value: "{{inputs.parameters.date}}" },
    // Without a date the workflow is the run; `argo retry` keeps its uid.
    { name: "ESPALIER_RESUME", value: "{{workflow.parameters.resume}}" },
    { name: "ESPALIER_KEY", value: `argo/{{workflow.namespace}}/${name}` },
    { name: "ESPALIER_KEY_WITHOUT_DATE", value: "{{workflow.uid}}" },
    ...parameters
      .filter((one) => one.name !== "date")
      .map((one) => ({
        name: one.name.replace("param_", "ESPALIER_PARAM_"),
        value: `{{inputs.parameters.${one.name}}}`,
      })),
  ];
  return {
    name: "step",
    inputs: { parameters: [{ name: "step" }, ...parameters.map((one) => ({ name: one.name }))] },
    script: { image, command: ["python3"], env, source: program },
  };
}

export function argoLosses({ pipeline }: ArgoOrchestration): Loss[] {
  const { schedule } = pipeline;
  const conditional = Object.entries(pipeline.steps).flatMap(([name, step]) => (step.when === undefined ? [] : [name]));
  const told: Loss[] = [
    {
      steps: [],
      what: "A workflow that failed is resumed by `argo retry -p resume=yes`; without it a retry only tells the failure again.",
    },
  ];
  if (conditional.length > 0)
    told.push({ steps: conditional, what: "A step that its `when:` skips is a task that succeeded; its log says so." });
  if (schedule?.catchUp === true)
    told.push({ steps: [], what: "`catch_up`: Argo makes up for nothing that was due while its controller was away." });
  return [
    ...sharedLosses(pipeline, {
      name: "Argo",
      branches: "Branches and trials are no pods of Argo's: the step is one task.",
    }),
    ...told,
  ];
}

/** An identifier has no `-`, so that no two steps share a task. */
const taskName = (step: string): string => step.replaceAll("_", "-");

/** `date` and `step` are the exporter's own, so that the pipeline's have a prefix. */
const workflowParameters = (date: string, params: Readonly<Record<string, ParameterValue>>): Parameter[] => [
  { name: "date", value: date },
  ...Object.entries(params).map(([name, value]) => ({ name: `param_${name}`, value: String(value) })),
];

/** A DNS label (RFC 1123); names of workflows are shorter than Kubernetes' 63, since those of pods begin with them. */
const resourceName = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 50)
    .replaceAll(/^-+|-+$/g, "");
