import { didYouMean } from "../../closest.ts";
import type { Fault } from "../../fault.ts";
import { dependenciesOf } from "../graph.ts";
import { isTypescriptStep } from "../normalize.ts";
import { tryParseReference } from "../references.ts";
import { type Check, type CheckContext, fault } from "./context.ts";

export const hasSteps: Check = ({ steps }) =>
  steps.length > 0 ? [] : [fault("no-steps", ["steps"], "the pipeline has no steps", "Add one under `steps:`.")];

/** Names that mean something else in expressions. */
const reserved = new Set(["params", "inputs", "outputs", "run", "trial", "checkpoint", "true", "false", "null", "in"]);

export const stepNames: Check = ({ steps }) =>
  steps
    .filter(([name]) => reserved.has(name))
    .map(([name]) =>
      fault("reserved-name", ["steps", name], `a step can not be named \`${name}\`: expressions use that word`),
    );

export const runOrUses: Check = ({ steps }) =>
  steps.flatMap(([name, step]) => {
    if (step.run !== undefined && step.uses !== undefined) {
      return [
        fault(
          "run-or-uses",
          ["steps", name, "uses"],
          `the step ${name} has both \`run\` and \`uses\``,
          "Keep one of them.",
        ),
      ];
    }
    if (step.run === undefined && step.uses === undefined) {
      const hint = "Write `run:` with a command, or `uses:` with a built-in step.";
      return [fault("run-or-uses", ["steps", name], `the step ${name} has neither \`run\` nor \`uses\``, hint)];
    }
    if (step.run !== undefined && step.run.trim() === "") {
      return [fault("run-or-uses", ["steps", name, "run"], `the command of the step ${name} is empty`)];
    }
    return [];
  });

/** Keys that only one kind of step has. */
export const fittingKeys: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    const wrong = (key: string, why: string): Fault =>
      fault("misplaced-key", ["steps", name, key], `\`${key}\` ${why}`);
    const faults: Fault[] = [];
    if (step.with !== undefined && (step.run !== undefined || isTypescriptStep(step))) {
      faults.push({ ...wrong("with", "is for built-in steps"), hint: "Give settings as `params:`." });
    }
    if (step.nodes !== undefined && step.run === undefined) {
      faults.push({ ...wrong("nodes", "is for commands"), hint: "Only a `run:` step can be a gang." });
    }
    const builtin = context.builtin(step);
    if (builtin !== undefined) {
      for (const key of ["source", "environment", "checkpoint"] as const) {
        if (key === "environment" && builtin.environment === true) continue;
        if (step[key] !== undefined) faults.push(wrong(key, `has no meaning for the built-in step \`${step.uses}\``));
      }
      if (builtin.kind === "record") {
        for (const key of ["compute", "resources", "secrets", "map"] as const) {
          if (step[key] !== undefined)
            faults.push(wrong(key, `has no meaning for \`${step.uses}\`, which runs in the control plane`));
        }
      }
    }
    if (step.gate !== undefined && step.uses !== "register" && step.uses !== "deploy") {
      faults.push(wrong("gate", "is for `register` and `deploy` steps"));
    }
    return faults;
  });

export const needs: Check = (context) =>
  context.steps.flatMap(([name, step]) =>
    (step.needs ?? []).flatMap((need, index) => {
      const path = ["steps", name, "needs", index];
      if (need === name) return [fault("unknown-step", path, `the step ${name} needs itself`)];
      if (context.step(need) !== undefined) return [];
      return [unknownStep(path, need, context)];
    }),
  );

export function unknownStep(path: readonly PropertyKey[], name: string, context: CheckContext): Fault {
  const others = context.steps.map(([other]) => other);
  return fault("unknown-step", path, `there is no step \`${name}\``, didYouMean(name, others, "steps"));
}

/** Each circle once, with the steps on it by name. */
export const cycles: Check = (context) => {
  const edges = dependenciesOf(context.pipeline);
  const faults: Fault[] = [];
  const done = new Set<string>();
  const visit = (name: string, path: string[]): void => {
    const start = path.indexOf(name);
    if (start >= 0) {
      const circle = [...path.slice(start), name];
      const before = circle[circle.length - 2] ?? name;
      const place = edgePlace(context, before, name);
      faults.push(
        fault(
          "cycle",
          place,
          `steps wait for each other in a circle: ${circle.join(" -> ")}`,
          "Each arrow means `needs`.",
        ),
      );
      return;
    }
    if (done.has(name)) return;
    for (const next of edges.get(name) ?? []) visit(next, [...path, name]);
    done.add(name);
  };
  for (const name of edges.keys()) visit(name, []);
  return faults;
};

function edgePlace(context: CheckContext, from: string, to: string): PropertyKey[] {
  const step = context.step(from);
  const input = Object.entries(step?.inputs ?? {}).find(([, text]) => {
    const reference = tryParseReference(text);
    return reference?.kind === "step" && reference.step === to;
  });
  if (input !== undefined) return ["steps", from, "inputs", input[0]];
  const need = step?.needs?.indexOf(to) ?? -1;
  if (need >= 0) return ["steps", from, "needs", need];
  return step?.when?.includes(to) === true ? ["steps", from, "when"] : ["steps", from, "map", "over"];
}

export const computes: Check = ({ steps, options }) =>
  steps.flatMap(([name, step]) => {
    if (options.computes === undefined || step.compute === undefined || options.computes.includes(step.compute))
      return [];
    const hint = didYouMean(step.compute, options.computes, "computes");
    const message = `the stack has no compute \`${step.compute}\``;
    return [fault("unknown-compute", ["steps", name, "compute"], message, hint, "INVALID_CONFIG")];
  });

export const secrets: Check = ({ steps, options }) =>
  steps.flatMap(([name, step]) =>
    (step.secrets ?? []).flatMap((secret, index) => {
      if (options.secrets === undefined || options.secrets.includes(secret)) return [];
      const hint = `${didYouMean(secret, options.secrets, "secrets")} Declare it under \`secrets:\` in espalier.yaml.`;
      return [
        fault(
          "unknown-secret",
          ["steps", name, "secrets", index],
          `the project declares no secret \`${secret}\``,
          hint,
        ),
      ];
    }),
  );
