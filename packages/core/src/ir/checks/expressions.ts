import { didYouMean } from "../../closest.ts";
import type { Fault } from "../../fault.ts";
import { type CelReads, celReads } from "../cel.ts";
import { commandExpressions } from "../expressions.ts";
import type { StepIr } from "../pipeline.ts";
import { type Check, type CheckContext, fault, faultOf } from "./context.ts";
import { unknownStep } from "./structure.ts";

/** `${{ }}` in commands: what is known, and what the step declares. */
export const commands: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    const path = ["steps", name, "run"];
    if (step.run === undefined) return [];
    const command = step.run;
    const broken = faultOf("command", path, () => commandExpressions(command));
    if (broken.length > 0) return broken;
    const seen = new Set<string>();
    return commandExpressions(command).flatMap((expression): Fault[] => {
      const key = JSON.stringify(expression);
      if (seen.has(key)) return [];
      seen.add(key);
      if (expression.kind === "checkpoint.dir") {
        if (step.checkpoint === true) return [];
        return [
          fault(
            "command-name",
            path,
            "the command names `checkpoint.dir`, and the step keeps no checkpoint",
            "Add `checkpoint: true`.",
          ),
        ];
      }
      if (expression.kind === "run.date") return [];
      if (expression.kind === "trial") {
        const names = Object.keys(step.tune?.search ?? {});
        if (names.includes(expression.name)) return [];
        const hint =
          step.tune === undefined ? "Add `tune:` with a search." : didYouMean(expression.name, names, "trial values");
        const what = step.tune === undefined ? "the step has no trials" : "its search has no such name";
        return [fault("command-name", path, `the command names \`trial.${expression.name}\`, and ${what}`, hint)];
      }
      const known =
        expression.kind === "params" ? parameterNames(context, step) : Object.keys(step[expression.kind] ?? {});
      if (known.includes(expression.name)) return [];
      const message = `the command names \`${expression.kind}.${expression.name}\`, which is not declared`;
      const hint = didYouMean(expression.name, known, expression.kind === "params" ? "parameters" : expression.kind);
      return [fault("command-name", path, message, hint)];
    });
  });

export const declaredParams: Check = (context) =>
  context.steps.flatMap(([name, step]) =>
    (step.params ?? []).flatMap((parameter, index) => {
      const known = parameterNames(context, step);
      if (known.includes(parameter)) return [];
      const hint = didYouMean(parameter, known, "parameters");
      return [
        fault(
          "unknown-param",
          ["steps", name, "params", index],
          `the pipeline has no parameter \`${parameter}\``,
          hint,
        ),
      ];
    }),
  );

/** `when:` and `map.over` read parameters and `value` outputs of other steps, nothing else. */
export const conditions: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    const places: [PropertyKey[], string | undefined][] = [
      [["steps", name, "when"], step.when],
      [["steps", name, "map", "over"], step.map?.over],
    ];
    return places.flatMap(([path, expression]) =>
      expression === undefined ? [] : checkCel(context, name, path, expression),
    );
  });

function checkCel(context: CheckContext, name: string, path: PropertyKey[], expression: string): Fault[] {
  const broken = faultOf("cel", path, () => celReads(expression));
  if (broken.length > 0) return broken;
  const reads = celReads(expression);
  const params = Object.keys(context.pipeline.params ?? {});
  const unknown = [...new Set(reads.params)].filter((parameter) => !params.includes(parameter));
  return [
    ...unknown.map((parameter) =>
      fault(
        "unknown-param",
        path,
        `the pipeline has no parameter \`${parameter}\``,
        didYouMean(parameter, params, "parameters"),
      ),
    ),
    ...uniqueReads(reads).flatMap((read) => checkRead(context, name, path, read)),
  ];
}

function checkRead(context: CheckContext, name: string, path: PropertyKey[], read: CelReads["steps"][number]): Fault[] {
  if (read.step === name) return [fault("cel", path, `the step ${name} can not read its own outputs before it runs`)];
  const step = context.step(read.step);
  if (step === undefined) return [unknownStep(path, read.step, context)];
  const outputs = context.outputs(step);
  if (outputs === undefined || read.output === undefined) return [];
  if (!Object.hasOwn(outputs, read.output)) {
    const hint = didYouMean(read.output, Object.keys(outputs), `outputs of ${read.step}`);
    return [fault("unknown-output", path, `the step ${read.step} has no output \`${read.output}\``, hint)];
  }
  const type = outputs[read.output];
  if (type === undefined || type === "value") return [];
  const hint = "Only outputs of type `value` (small JSON documents) can be read by expressions.";
  return [fault("cel-type", path, `the output ${read.step}.${read.output} is of type ${type}`, hint)];
}

function uniqueReads(reads: CelReads): CelReads["steps"] {
  return [...new Map(reads.steps.map((read) => [JSON.stringify(read), read])).values()];
}

/** A mapped step's item has the name of a parameter, and must not hide one. */
export const maps: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    if (step.map === undefined || !Object.hasOwn(context.pipeline.params ?? {}, step.map.as)) return [];
    const message = `\`${step.map.as}\` is already a parameter of the pipeline`;
    return [fault("map-name", ["steps", name, "map", "as"], message, "Give the item another name.")];
  });

function parameterNames(context: CheckContext, step: StepIr): string[] {
  return [...Object.keys(context.pipeline.params ?? {}), ...(step.map === undefined ? [] : [step.map.as])];
}
