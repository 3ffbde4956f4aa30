import type { Json } from "../canonical-json.ts";
import {
  exportedParameters,
  type Loss,
  type Orchestration,
  overlapOf,
  sharedLosses,
  taskGraph,
} from "./orchestration.ts";

export interface AirflowOrchestration extends Orchestration {
  /** First day that a schedule with `catch_up` makes up for, YYYY-MM-DD. */
  startDate?: string;
}

/** A DAG for Apache Airflow 3 (airflow.apache.org, Task SDK) that uses the operators of `python/espalier_airflow.py`. */
export function airflowDag(orchestration: AirflowOrchestration): string {
  const { project, pipeline, stack, startDate } = orchestration;
  const { needs, last } = taskGraph(pipeline);
  const params = exportedParameters(pipeline);
  const { schedule } = pipeline;
  const dag: [string, string][] = [
    ["dag_id", literal(`${project}.${pipeline.name}`)],
    ["description", literal(`The pipeline ${pipeline.name} of ${project}, run by Espalier`)],
    [
      "schedule",
      schedule === undefined
        ? "None"
        : `CronTriggerTimetable(${literal(schedule.cron)}, timezone=${literal(schedule.timezone ?? "UTC")})`,
    ],
    [
      "start_date",
      startDate === undefined ? "None" : `datetime.fromisoformat(${literal(`${startDate}T00:00:00+00:00`)})`,
    ],
    ["catchup", literal(schedule?.catchUp ?? false)],
    ...(schedule === undefined || overlapOf(schedule) === "allow"
      ? []
      : ([["max_active_runs", "1"]] as [string, string][])),
    [
      "params",
      `{${Object.entries(params)
        .map(([name, value]) => `${literal(name)}: ${literal(value)}`)
        .join(", ")}}`,
    ],
    ["tags", literal(["espalier", project])],
  ];
  const shared: [string, string][] = [
    ["pipeline", literal(pipeline.name)],
    ...(stack === undefined ? [] : ([["stack", literal(stack)]] as [string, string][])),
    ["from_dag_params", literal(Object.keys(params))],
  ];
  return [
    ...(startDate === undefined ? [] : ["from datetime import datetime", ""]),
    `from airflow.sdk import ${schedule === undefined ? "DAG" : "DAG, CronTriggerTimetable"}`,
    "from espalier_airflow import EspalierRunOperator, EspalierStepOperator",
    "",
    "# Each step, and the steps that it needs.",
    `NEEDS = {`,
    ...Object.entries(needs).map(([step, before]) => `    ${literal(step)}: ${literal([...before])},`),
    "}",
    "SHARED = {",
    ...shared.map(([name, value]) => `    ${literal(name)}: ${value},`),
    "}",
    "",
    "with DAG(",
    ...dag.map(([name, value]) => `    ${name}=${value},`),
    "):",
    "    steps = {step: EspalierStepOperator(task_id=step, step=step, **SHARED) for step in NEEDS}",
    "    for step, needs in NEEDS.items():",
    "        for need in needs:",
    "            steps[need] >> steps[step]",
    "    # How Espalier's run ended, also where the pipeline has got steps since it was exported.",
    '    outcome = EspalierRunOperator(task_id="run-outcome", resumes=False, trigger_rule="none_failed", **SHARED)',
    `    [steps[step] for step in ${literal(last)}] >> outcome`,
    "",
  ].join("\n");
}

export function airflowLosses({ pipeline, startDate }: AirflowOrchestration): Loss[] {
  const { schedule } = pipeline;
  const told: string[] = [];
  if (schedule !== undefined && overlapOf(schedule) === "skip")
    told.push("`overlap: skip`: Airflow lets a due run wait while one is active, instead of leaving it out.");
  if (schedule?.catchUp === true && startDate === undefined)
    told.push("`catch_up`: Airflow makes up for nothing without a first day; `--start-date` gives it one.");
  if (schedule?.params !== undefined)
    told.push("Parameters of the schedule hold for runs that are started by hand in Airflow too; its form shows them.");
  return [
    ...sharedLosses(pipeline, {
      name: "Airflow",
      branches: "Branches and trials are no tasks of their own: the step is one.",
    }),
    ...told.map((what) => ({ steps: [], what })),
  ];
}

/** As Python writes it: JSON but for its three names. */
function literal(value: Json): string {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  return JSON.stringify(value);
}
