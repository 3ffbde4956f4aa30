import { didYouMean } from "../../closest.ts";
import type { Fault } from "../../fault.ts";
import type { ArtifactType, StepIr } from "../pipeline.ts";
import { parseProjectPath, parseReference } from "../references.ts";
import { type Check, type CheckContext, fault, faultOf } from "./context.ts";
import { unknownStep } from "./structure.ts";

/** Every value under `inputs:` is a reference. */
export const referenceForms: Check = ({ steps }) =>
  steps.flatMap(([name, step]) =>
    Object.entries(step.inputs ?? {}).flatMap(([input, text]) =>
      faultOf("reference", ["steps", name, "inputs", input], () => parseReference(text)),
    ),
  );

export const knownOutputs: Check = (context) =>
  context.steps.flatMap(([name, step]) =>
    context.references(step).flatMap(([input, reference]) => {
      if (reference.kind !== "step") return [];
      const path = ["steps", name, "inputs", input];
      const producer = context.step(reference.step);
      if (producer === undefined) return [unknownStep(path, reference.step, context)];
      const outputs = context.outputs(producer);
      if (outputs === undefined || Object.hasOwn(outputs, reference.output)) return [];
      const hint = didYouMean(reference.output, Object.keys(outputs), `outputs of ${reference.step}`);
      return [fault("unknown-output", path, `the step ${reference.step} has no output \`${reference.output}\``, hint)];
    }),
  );

/** Files, sources and environments of the project that are not there. */
export const missingFiles: Check = (context) =>
  context.steps.flatMap(([name, step]) => [
    ...context
      .references(step)
      .flatMap(([input, reference]) =>
        reference.kind === "file" ? missing(context, ["steps", name, "inputs", input], reference.path) : [],
      ),
    ...(step.source === undefined ? [] : projectPath(context, ["steps", name, "source"], step.source)),
    ...environmentFiles(context, name, step),
    ...moduleFiles(context, name, step),
  ]);

function environmentFiles(context: CheckContext, name: string, step: StepIr): Fault[] {
  const { environment } = step;
  if (environment === undefined || "image" in environment) return [];
  const [key, path] = "python" in environment ? ["python", environment.python] : ["dockerfile", environment.dockerfile];
  return projectPath(context, ["steps", name, "environment", key], path);
}

const inRequirements = "List the packages in a requirements.txt: `environment: { python: ./requirements.txt }`.";
const inStack =
  "Where a compute's tool has images, the stack names one: `compute: { train: { uses: ..., image: ... } }`.";

/** Environments that no tool can make yet: told before anything runs, and never passed over. */
export const environments: Check = (context) =>
  context.steps.flatMap(([name, { environment }]) => {
    if (environment === undefined) return [];
    const told = (key: string, what: string, hint: string): Fault[] => [
      fault("environment", ["steps", name, "environment", key], `${what} not supported yet`, hint, "UNSUPPORTED"),
    ];
    if ("image" in environment) return told("image", "an image of a step's own is", `${inStack} ${inRequirements}`);
    if ("dockerfile" in environment) return told("dockerfile", "a Dockerfile is", `${inRequirements} ${inStack}`);
    if (!/\.ya?ml$/.test(environment.python)) return [];
    return told("python", `a Conda environment (\`${environment.python}\`) is`, inRequirements);
  });

function moduleFiles(context: CheckContext, name: string, step: StepIr): Fault[] {
  const [module, exported] = step.uses?.split("#") ?? [];
  if (module === undefined || exported === undefined) return [];
  const path = ["steps", name, "uses"];
  const faults = projectPath(context, path, module);
  if (faults.length > 0) return faults;
  const source = step.source?.replace(/\/*$/, "/");
  if (source !== undefined && !module.startsWith(source)) {
    const hint = `Its source is \`${step.source}\`, and it sees nothing else.`;
    return [fault("module-outside-source", path, `the module ${module} lies outside the step's source`, hint)];
  }
  const exports = context.options.moduleExports?.(module);
  if (exports === undefined || exports.includes(exported)) return [];
  return [
    fault(
      "unknown-export",
      path,
      `${module} exports no step \`${exported}\``,
      didYouMean(exported, exports, "exports"),
    ),
  ];
}

function projectPath(context: CheckContext, path: readonly PropertyKey[], text: string): Fault[] {
  const faults = faultOf("project-path", path, () => parseProjectPath(text));
  return faults.length > 0 ? faults : missing(context, path, text);
}

function missing(context: CheckContext, path: readonly PropertyKey[], text: string): Fault[] {
  const { pathKind } = context.options;
  if (pathKind === undefined || pathKind(text) !== undefined) return [];
  const hint = "Paths are relative to the project's folder. Create it, or correct the path.";
  return [fault("missing-file", path, `there is no \`${text}\` in the project`, hint, "NOT_FOUND")];
}

/** What a built-in takes must have one of the types it can read. */
export const inputTypes: Check = (context) =>
  context.steps.flatMap(([name, step]) => {
    const builtin = context.builtin(step);
    if (builtin === undefined) return [];
    return context.references(step).flatMap(([input, reference]) => {
      const accepted = builtin.inputs[input]?.types ?? builtin.otherInputs;
      const type = context.referenceType(reference);
      if (accepted === undefined || type === undefined || accepts(accepted, type, reference.kind)) return [];
      const message = `the input \`${input}\` of \`${builtin.name}\` takes ${words(accepted)}, and \`${step.inputs?.[input]}\` is ${words([type])}`;
      return [fault("input-type", ["steps", name, "inputs", input], message)];
    });
  });

/** A file of the project has no declared type: what it is, is told by what reads it. */
function accepts(accepted: readonly ArtifactType[], type: ArtifactType, kind: string): boolean {
  if (accepted.includes(type)) return true;
  if (type === "parquet") return accepted.includes("file");
  if (kind !== "file") return false;
  return type === "tree"
    ? accepted.includes("model")
    : type === "file" && (accepted.includes("value") || accepted.includes("parquet"));
}

function words(types: readonly ArtifactType[]): string {
  const names: Readonly<Record<ArtifactType, string>> = {
    file: "a file",
    tree: "a folder",
    parquet: "a Parquet file",
    model: "a model",
    value: "a value",
  };
  return types.map((type) => names[type]).join(" or ");
}
