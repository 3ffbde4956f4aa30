import { builtinImplementation } from "../builtin.ts";
import { EspalierError } from "../errors.ts";
import { environmentSnapshot } from "../ir/cache-key.ts";
import { typescriptTarget } from "../ir/normalize.ts";
import type { ResourcesIr } from "../ir/pipeline.ts";
import { renderShellCommand } from "../ir/render-command.ts";
import type { WorkOrder } from "../ports/staging.ts";
import { stepVariables } from "../step-contract.ts";
import type { RunContext } from "./run-context.ts";
import { refsOf, type Unit } from "./unit.ts";

/** The order of one attempt: a pure function of run and unit, so that a repeated prepare lays out the same. */
export function workOrder(context: RunContext, unit: Unit, attemptId: string, checkpoint: string): WorkOrder {
  const { step, row } = unit;
  const snapshots = context.run.snapshots;
  const source = step.source === undefined ? undefined : snapshots[step.source];
  if (step.source !== undefined && source === undefined) throw unsnapshotted(row.step, "source", step.source);
  return {
    attemptId,
    runId: context.run.id,
    pipeline: context.pipeline.name,
    step: row.step,
    branch: row.branch,
    program: program(unit),
    inputs: refsOf(unit.inputs),
    outputs: unit.outputs,
    params: unit.params,
    with: step.with ?? {},
    ...(source ? { source } : {}),
    ...(source && source.type !== "tree" ? { sourceName: step.source?.split("/").at(-1) ?? "source" } : {}),
    ...environmentOf(context, unit),
    secrets: step.secrets ?? [],
    ...(step.checkpoint === true || unit.builtin?.checkpoint === true ? { checkpoint } : {}),
    logicalDate: logicalDate(context),
    resources: (step.resources ?? {}) as ResourcesIr,
    ...(step.nodes === undefined ? {} : { nodes: step.nodes }),
    ...(step.timeoutSeconds === undefined ? {} : { timeoutSeconds: step.timeoutSeconds }),
    graceSeconds: context.options.graceSeconds,
  };
}

/** A run without a logical date means the moment it was created, which a resumed attempt still knows. */
export const logicalDate = (context: RunContext): string =>
  context.run.logicalDate ?? new Date(context.run.createdAt).toISOString();

function program(unit: Unit): WorkOrder["program"] {
  if (unit.builtin) return { builtin: unit.builtin.name, implementation: builtinImplementation(unit.builtin) };
  if (unit.step.uses !== undefined) return { typescript: typescriptTarget(unit.step) };
  return { run: unit.step.run ?? "" };
}

function environmentOf(context: RunContext, unit: Unit): Pick<WorkOrder, "environment"> {
  const environment = unit.step.environment;
  if (environment === undefined || !("python" in environment)) return {};
  const lock = context.run.snapshots[environmentSnapshot(environment) ?? ""];
  if (!lock) throw unsnapshotted(unit.row.step, "environment.python", environment.python);
  return {
    environment: {
      lock,
      ...(environment.pythonVersion === undefined ? {} : { pythonVersion: environment.pythonVersion }),
    },
  };
}

function unsnapshotted(step: string, member: string, path: string): EspalierError {
  return new EspalierError("NOT_FOUND", `The run was created without a snapshot of ${path}`, {
    at: `steps.${step}.${member}`,
    hint: "Start a new run.",
  });
}

/**
 * The command as a POSIX shell gets it. Paths become the variables of the step contract, so that one command serves every machine; values
 * are quoted, so that a parameter can not become code.
 */
export function renderCommand(order: WorkOrder): string {
  if (!("run" in order.program)) throw new EspalierError("INTERNAL", "Only a `run:` step has a command to render");
  return renderShellCommand(order.program.run, (expression) => {
    if (expression.kind === "inputs") return { variable: stepVariables.inputs, path: expression.name };
    if (expression.kind === "outputs") return { variable: stepVariables.outputs, path: expression.name };
    if (expression.kind === "checkpoint.dir") return { variable: stepVariables.checkpoint };
    if (expression.kind === "run.date") return { value: order.logicalDate };
    const value = order.params[expression.name];
    if (value !== undefined) return { value: typeof value === "string" ? value : JSON.stringify(value) };
    throw new EspalierError("INVALID_PIPELINE", `No value is known for \`${expression.kind}.${expression.name}\``, {
      at: `steps.${order.step}.run`,
    });
  });
}
