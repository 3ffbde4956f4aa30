import { didYouMean } from "../../closest.ts";
import { type Fault, jsonPointer, pointerPath } from "../../fault.ts";
import { salvage } from "../../schema-faults.ts";
import { isTypescriptStep } from "../normalize.ts";
import { tryParseReference } from "../references.ts";
import { type Check, fault } from "./context.ts";

export const knownBuiltins: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    if (step.uses === undefined || context.builtin(step) !== undefined) return [];
    const path = ["steps", name, "uses"];
    if (isTypescriptStep(step)) {
      if (/^\.\/[^#]+\.(ts|mts|js|mjs)#[A-Za-z_$][\w$]*$/.test(step.uses)) return [];
      const message = `\`${step.uses}\` does not name an export of a module`;
      return [fault("typescript-step", path, message, "Write `./steps/train.ts#train`.")];
    }
    const message = `there is no built-in step \`${step.uses}\``;
    return [fault("unknown-builtin", path, message, didYouMean(step.uses, context.builtinNames, "built-in steps"))];
  });

export const builtinInputs: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    const builtin = context.builtin(step);
    if (builtin === undefined) return [];
    const given = Object.keys(step.inputs ?? {});
    const known = Object.keys(builtin.inputs);
    const missing = known.filter((input) => builtin.inputs[input]?.required === true && !given.includes(input));
    const unknown = builtin.otherInputs === undefined ? given.filter((input) => !known.includes(input)) : [];
    return [
      ...missing.map((input) =>
        fault(
          "missing-input",
          ["steps", name, "inputs"],
          `\`${builtin.name}\` needs the input \`${input}\``,
          `Add it under \`inputs:\` of ${name}.`,
        ),
      ),
      ...unknown.map((input) =>
        fault(
          "unknown-input",
          ["steps", name, "inputs", input],
          `\`${builtin.name}\` takes no input \`${input}\``,
          didYouMean(input, known, "inputs"),
        ),
      ),
    ];
  });

export const builtinOutputs: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    const builtin = context.builtin(step);
    if (builtin === undefined) return [];
    const given = Object.entries(step.outputs ?? {});
    if (given.length === 0 && builtin.otherOutputs !== undefined && Object.keys(builtin.outputs).length === 0) {
      const hint = `Name them, such as \`outputs: { train: ${builtin.otherOutputs[0]} }\`.`;
      return [fault("missing-outputs", ["steps", name], `\`${builtin.name}\` needs \`outputs:\``, hint)];
    }
    return given.flatMap(([output, { type }]): Fault[] => {
      const path = ["steps", name, "outputs", output];
      const declared = builtin.outputs[output];
      const allowed = declared === undefined ? builtin.otherOutputs : [declared];
      if (allowed === undefined) {
        const hint = didYouMean(output, Object.keys(builtin.outputs), "outputs");
        return [fault("unknown-output", path, `\`${builtin.name}\` gives no output \`${output}\``, hint)];
      }
      if (allowed.includes(type)) return [];
      return [
        fault(
          "output-type",
          path,
          `the output \`${output}\` of \`${builtin.name}\` is of type ${allowed.join(" or ")}, not ${type}`,
        ),
      ];
    });
  });

/** Settings of a built-in, by its own schema. */
export const builtinSettings: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    const builtin = context.builtin(step);
    if (builtin === undefined) return [];
    return salvage(builtin.with, step.with ?? {}, "INVALID_PIPELINE").faults.map((found) => {
      const path = ["steps", name, "with", ...pointerPath(found.pointer)];
      return {
        ...found,
        check: `setting-${found.check}`,
        message: `\`with\` of \`${builtin.name}\`: ${found.message}`,
        pointer: jsonPointer(path),
      };
    });
  });

/** Two steps that add to one dataset would make its versions depend on which comes first. */
export const datasetWriters: Check = ({ steps }) => {
  const writers = new Map<string, string>();
  return steps.flatMap(([name, step]) => {
    const writes = step.uses === "dataset" || step.uses === "replace-partitions";
    const dataset = writes ? step.with?.["name"] : undefined;
    if (typeof dataset !== "string") return [];
    const other = writers.get(dataset);
    if (other === undefined) {
      writers.set(dataset, name);
      return [];
    }
    const hint = "Give one of them another name, or join their files first.";
    return [
      fault(
        "dataset-writers",
        ["steps", name, "with", "name"],
        `the steps ${other} and ${name} both write the dataset \`${dataset}\``,
        hint,
      ),
    ];
  });
};

/**
 * Only what a gate let through may be registered or deployed. A registered version carries its verdict, so that `deploy` may also take
 * `models:/name@alias`: the verdict is looked up when it runs.
 */
export const gated: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    if (step.gate === "none" || (step.uses !== "register" && step.uses !== "deploy")) return [];
    const text = step.inputs?.["model"];
    const reference = text === undefined ? undefined : tryParseReference(text);
    if (reference === undefined) return [];
    if (reference.kind === "model" && step.uses === "deploy") return [];
    const producer = reference.kind === "step" ? context.step(reference.step) : undefined;
    // An unknown step or output is told by its own check.
    if (reference.kind === "step" && producer === undefined) return [];
    const output = reference.kind === "step" ? reference.output : "";
    if (producer?.uses === "gate" && output === "model") return [];
    if (step.uses === "deploy" && producer?.uses === "register" && output === "version") return [];
    const gate = context.steps.find(([, other]) => other.uses === "gate")?.[0];
    const way = gate === undefined ? "Add a `gate` step and take its `model` output" : `Take \`${gate}.model\``;
    const hint = `${way}${step.uses === "deploy" ? ", or `version` of a register step" : ""}; or write \`gate: none\`, which is recorded.`;
    return [
      fault("ungated", ["steps", name, "inputs", "model"], `no gate has let \`${text}\` through`, hint, "UNGATED"),
    ];
  });
