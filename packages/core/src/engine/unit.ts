import type { ArtifactRef } from "../artifact.ts";
import type { BuiltinDeclaration } from "../builtin.ts";
import type { Json } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import { visibleParams } from "../ir/cache-key.ts";
import { isTypescriptStep } from "../ir/normalize.ts";
import type { ArtifactType, StepIr } from "../ir/pipeline.ts";
import { tryParseReference } from "../ir/references.ts";
import type { StepRow } from "../record/engine-record.ts";
import type { RecordStepContext, SettledStep } from "./options.ts";
import type { RunContext } from "./run-context.ts";

/** One thing to execute: a step, or one branch of a mapped step, with everything it reads. */
export interface Unit {
  step: StepIr;
  row: StepRow;
  builtin?: BuiltinDeclaration;
  inputs: RecordStepContext["inputs"];
  params: Readonly<Record<string, Json>>;
  outputs: Readonly<Record<string, { type: ArtifactType; optional?: boolean }>>;
  label: string;
}

export function resolveUnit(context: RunContext, row: StepRow): Unit {
  const step = context.step(row.step);
  const builtin = step.uses === undefined ? undefined : context.options.builtins[step.uses];
  if (step.uses !== undefined && builtin === undefined && !isTypescriptStep(step)) {
    throw new EspalierError("INVALID_PIPELINE", `There is no built-in step ${step.uses}`, {
      at: `steps.${row.step}.uses`,
      hint: `Built-in steps: ${Object.keys(context.options.builtins).sort().join(", ")}.`,
    });
  }
  const branch = row.branch < 0 ? "" : `[${row.branch}]`;
  return {
    step,
    row,
    ...(builtin ? { builtin } : {}),
    inputs: resolveInputs(context, row.step, step),
    params: paramsOf(context, step, row),
    outputs: declaredOutputs(step, builtin),
    label: `${context.pipeline.name}/${row.step}${branch}`,
  };
}

function resolveInputs(context: RunContext, name: string, step: StepIr): RecordStepContext["inputs"] {
  const inputs: Record<string, RecordStepContext["inputs"][string]> = {};
  for (const [input, reference] of Object.entries(step.inputs ?? {})) {
    const parsed = tryParseReference(reference);
    if (parsed?.kind === "step") {
      const { step: from, output } = parsed;
      const ref = context.row(from).outputs?.[output];
      if (ref === undefined) {
        throw new EspalierError("STEP_FAILED", `Step ${from} left no output ${output}, which ${name} needs`, {
          at: `steps.${name}.inputs.${input}`,
        });
      }
      inputs[input] = { ref, reference, step: from, output };
      continue;
    }
    const ref = context.run.resolved[reference];
    if (ref === undefined) {
      throw new EspalierError("NOT_FOUND", `The run was created without resolving ${reference}`, {
        at: `steps.${name}.inputs.${input}`,
        hint: "Start a new run.",
      });
    }
    // null: an alias that nobody holds yet, such as a first champion; the step sees no such input.
    if (ref !== null) inputs[input] = { ref, reference };
  }
  return inputs;
}

function paramsOf(context: RunContext, step: StepIr, row: StepRow): Record<string, Json> {
  const params: Record<string, Json> = {};
  for (const name of visibleParams(step)) {
    const trial = step.tune === undefined ? undefined : (row.item as Record<string, Json> | undefined)?.[name];
    const value = name === step.map?.as ? row.item : (trial ?? context.params[name]);
    if (value !== undefined) params[name] = value;
  }
  return params;
}

function declaredOutputs(step: StepIr, builtin: BuiltinDeclaration | undefined): Unit["outputs"] {
  const outputs: Record<string, Unit["outputs"][string]> = {};
  for (const [name, type] of Object.entries(builtin?.outputs ?? {})) outputs[name] = { type };
  for (const [name, output] of Object.entries(step.outputs ?? {})) outputs[name] = { type: output.type };
  // A gate that refuses leaves a verdict and no model.
  if (builtin?.name === "gate" && outputs.model) outputs.model = { ...outputs.model, optional: true };
  return outputs;
}

export function refsOf(inputs: Unit["inputs"]): Record<string, ArtifactRef> {
  return Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.ref]));
}

export function settledSteps(context: RunContext): Record<string, SettledStep> {
  return Object.fromEntries(
    Object.keys(context.pipeline.steps).map((name) => {
      const row = context.row(name);
      return [name, { state: row.state, outputs: row.outputs ?? {}, values: row.values ?? {} }];
    }),
  );
}

/** What CEL sees: `params`, and each step's name with its `value` outputs. */
export function expressionVariables(context: RunContext): Record<string, Json> {
  const variables: Record<string, Json> = { params: context.params };
  for (const name of Object.keys(context.pipeline.steps)) variables[name] = context.row(name).values ?? {};
  return variables;
}
