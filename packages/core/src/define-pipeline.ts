import type { BuiltinName, builtinOutputs } from "./builtin-outputs.ts";
import { builtinOutputs as outputsOfBuiltins } from "./builtin-outputs.ts";
import type { Json } from "./canonical-json.ts";
import type {
  OutputDeclaration,
  ParametersOf,
  TypedOutputs,
  TypedParameters,
  TypedPorts,
  TypeOf,
  TypescriptStep,
} from "./define-step.ts";
import { isTypescriptStepValue, outputType } from "./define-step.ts";
import { EspalierError } from "./errors.ts";
import type { PipelineAuthoring, StepAuthoring } from "./ir/authoring.ts";
import { compilePipeline } from "./ir/compile.ts";
import type { ArtifactType, ParameterValue, PipelineIr, TuneIr } from "./ir/pipeline.ts";
import { searchOutputs } from "./ir/trials.ts";

/** An output of an earlier step. A reference of another type does not compile where the input's type is known. */
export interface OutputReference<Type extends ArtifactType = ArtifactType> {
  readonly reference: string;
  readonly type: Type;
}

/** A reference in its written form, or an earlier step's output. */
type InputValue<Type extends ArtifactType = ArtifactType> =
  | OutputReference<Type>
  | `./${string}`
  | `dataset:${string}`
  | `models:/${string}`
  | `${string}://${string}`;

export interface StepHandle<Outputs> {
  readonly name: string;
  readonly outputs: { readonly [Name in keyof Outputs]: OutputReference<TypeOf<Outputs[Name]> & ArtifactType> };
}

/** Keys that every kind of step has, in TypeScript's spelling. Durations are `30m` or seconds, sizes `4Gi` or bytes. */
interface CommonStep<Parameters> {
  params?: readonly (keyof Parameters & string)[];
  needs?: readonly (StepHandle<unknown> | string)[];
  when?: string;
  map?: StepAuthoring["map"];
  compute?: string;
  resources?: {
    cpu?: number;
    memory?: string | number;
    gpu?: number | { count: number; type?: string };
    sharedMemory?: string | number;
  };
  /** A gang: so many nodes at one time, each with these resources. */
  nodes?: number;
  secrets?: readonly string[];
  checkpoint?: boolean;
  retry?:
    | number
    | { attempts: number; causes?: ("exit" | "lost" | "timeout")[]; delay?: string | number; backoff?: number };
  timeout?: string | number;
  cache?: boolean;
  gate?: "none";
}

/** A search, one trial at each set of values. */
export interface TypedTune {
  search: Readonly<
    Record<
      string,
      | { choice: readonly (string | number | boolean)[] }
      | { integer: readonly [number, number] }
      | { uniform: readonly [number, number] }
      | { logUniform: readonly [number, number] }
    >
  >;
  method: TuneIr["method"];
  trials?: number;
  concurrency?: number;
  objective: TuneIr["objective"];
  /** At which steps of the metric trials are compared: `after`, `after * factor`, ...; `factor` left out: 3. */
  stopEarly?: { after: number; factor?: number };
  seed?: number;
  maxFailed?: number;
}

interface CommandStep<Parameters, Outputs> extends CommonStep<Parameters> {
  run: string;
  source?: `./${string}`;
  environment?: { python: `./${string}`; pythonVersion?: string } | { dockerfile: `./${string}` } | { image: string };
  inputs?: Readonly<Record<string, InputValue>>;
  outputs?: Outputs;
}

interface BuiltinStep<Parameters, Name extends string, Outputs> extends CommonStep<Parameters> {
  uses: Name;
  inputs?: Readonly<Record<string, InputValue>>;
  outputs?: Outputs;
  with?: Readonly<Record<string, Json>>;
}

/** `dataset` passes on what it was given. Whether a path that is no Parquet file is a file or a folder, only `plan` can see: it fits both. */
type DatasetOutputs<File> = Omit<(typeof builtinOutputs)["dataset"], "dataset"> & {
  readonly dataset: File extends OutputReference<infer Type>
    ? Type
    : File extends `${string}.parquet`
      ? "parquet"
      : never;
};

type FunctionStep<
  Parameters extends Readonly<Record<string, ParameterValue>>,
  Inputs extends TypedPorts,
  Outputs extends TypedOutputs,
  Needed extends TypedParameters,
> = Omit<CommonStep<Parameters>, "params"> & {
  uses: TypescriptStep<Inputs, Outputs, Needed> &
    // The step's parameters must be the pipeline's, of the same types; a map's item is the one exception, and it says so.
    (Needed extends Partial<ParametersOf<Parameters>>
      ? unknown
      : { missingParameters: Exclude<keyof Needed, keyof Parameters> });
  source?: `./${string}`;
  inputs: { readonly [Input in keyof Inputs]: InputValue<Inputs[Input]> };
};

export interface PipelineBuilder<Parameters extends Readonly<Record<string, ParameterValue>>> {
  /** A step written in TypeScript, with `defineStep`. */
  step<Inputs extends TypedPorts, Outputs extends TypedOutputs, Needed extends TypedParameters>(
    name: string,
    step: FunctionStep<Parameters, Inputs, Outputs, Needed>,
  ): StepHandle<Outputs>;
  /** A command that searches: its outputs are those of its best trial, the table of all, and the best one's values. */
  step<const Outputs extends Readonly<Record<string, OutputDeclaration>> = Record<never, never>>(
    name: string,
    step: CommandStep<Parameters, Outputs> & { tune: TypedTune },
  ): StepHandle<Outputs & typeof searchOutputs>;
  /** Any command. */
  step<const Outputs extends Readonly<Record<string, OutputDeclaration>> = Record<never, never>>(
    name: string,
    step: CommandStep<Parameters, Outputs>,
  ): StepHandle<Outputs>;
  /** A version of a dataset. */
  step<const File extends InputValue>(
    name: string,
    step: BuiltinStep<Parameters, "dataset", Record<never, never>> & { inputs: { file: File } },
  ): StepHandle<DatasetOutputs<File>>;
  /** A built-in step. */
  step<
    Name extends BuiltinName,
    const Outputs extends Readonly<Record<string, OutputDeclaration>> = Record<never, never>,
  >(name: string, step: BuiltinStep<Parameters, Name, Outputs>): StepHandle<(typeof builtinOutputs)[Name] & Outputs>;
}

export interface PipelineHeader<Parameters> {
  name: string;
  params?: Parameters;
  schedule?: { cron: string; timezone?: string; catchUp?: boolean; overlap?: "skip" | "queue" | "allow" };
  notify?: PipelineAuthoring["notify"];
}

/** What a `pipelines/*.ts` file exports. */
export interface PipelineDefinition {
  readonly kind: "espalier-pipeline";
  readonly name: string;
  /** Written form; the `uses` of TypeScript steps as given here. INVALID_PIPELINE when `nameStep` knows no name. */
  authoring(nameStep: (step: TypescriptStep) => string): PipelineAuthoring;
}

/** A pipeline in TypeScript; equal to the same pipeline in YAML, digest and all. */
export function definePipeline<
  const Parameters extends Readonly<Record<string, ParameterValue>> = Record<never, never>,
>(header: PipelineHeader<Parameters>, build: (pipeline: PipelineBuilder<Parameters>) => void): PipelineDefinition {
  const steps = new Map<string, LooseStep>();
  const add = (name: string, step: LooseStep): StepHandle<Record<string, ArtifactType>> => {
    if (steps.has(name))
      throw new EspalierError("INVALID_PIPELINE", `Two steps are named ${name}`, { at: `steps.${name}` });
    steps.set(name, step);
    return { name, outputs: referencesOf(name, step) };
  };
  build({ step: add } as unknown as PipelineBuilder<Parameters>);
  return {
    kind: "espalier-pipeline",
    name: header.name,
    authoring: (nameStep) => ({
      name: header.name,
      ...(header.params === undefined ? {} : { params: header.params }),
      ...(header.schedule === undefined ? {} : { schedule: renamed(header.schedule, { catchUp: "catch_up" }) }),
      ...(header.notify === undefined ? {} : { notify: header.notify }),
      steps: Object.fromEntries([...steps].map(([name, step]) => [name, written(step, nameStep)])),
    }),
  };
}

export function isPipelineDefinition(value: unknown): value is PipelineDefinition {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "espalier-pipeline";
}

/** For a pipeline without TypeScript steps, and for tests: no files are needed to name its steps. */
export function compileDefinition(
  definition: PipelineDefinition,
  nameStep: (step: TypescriptStep) => string = unnamed,
): PipelineIr {
  return compilePipeline(definition.authoring(nameStep));
}

function unnamed(): never {
  throw new EspalierError("INVALID_PIPELINE", "A TypeScript step has no name outside a project");
}

/** A step as the typed overloads let it through. */
interface LooseStep {
  uses?: string | TypescriptStep;
  inputs?: Readonly<Record<string, string | OutputReference>>;
  outputs?: Readonly<Record<string, OutputDeclaration>>;
  environment?: object;
  resources?: object;
  tune?: TypedTune;
  needs?: readonly (string | StepHandle<unknown>)[];
  [key: string]: unknown;
}

function referencesOf(name: string, step: LooseStep): Record<string, OutputReference> {
  const declared: Record<string, OutputDeclaration> = { ...step.outputs };
  if (isTypescriptStepValue(step.uses)) Object.assign(declared, step.uses.outputs);
  else if (typeof step.uses === "string") Object.assign(declared, outputsOfBuiltins[step.uses as BuiltinName]);
  if (step.tune !== undefined) Object.assign(declared, searchOutputs);
  if (step.uses === "dataset") declared.dataset = passedType(step.inputs?.file);
  return Object.fromEntries(
    Object.entries(declared).map(([output, declaration]) => [
      output,
      { reference: `${name}.${output}`, type: outputType(declaration) },
    ]),
  );
}

function passedType(input: string | OutputReference | undefined): ArtifactType {
  if (typeof input === "object") return input.type;
  return input?.endsWith(".parquet") === true ? "parquet" : "file";
}

function written(step: LooseStep, nameStep: (step: TypescriptStep) => string): StepAuthoring {
  const { uses, inputs, needs, environment, resources, tune, ...same } = step;
  const isFunction = isTypescriptStepValue(uses);
  return {
    ...same,
    ...(uses === undefined ? {} : { uses: isFunction ? nameStep(uses) : uses }),
    ...(isFunction ? { outputs: uses.outputs, params: Object.keys(uses.params) } : {}),
    ...(inputs === undefined
      ? {}
      : {
          inputs: Object.fromEntries(
            Object.entries(inputs).map(([name, value]) => [name, typeof value === "string" ? value : value.reference]),
          ),
        }),
    ...(needs === undefined ? {} : { needs: needs.map((need) => (typeof need === "string" ? need : need.name)) }),
    ...(environment === undefined ? {} : { environment: renamed(environment, { pythonVersion: "python_version" }) }),
    ...(tune === undefined ? {} : { tune: writtenTune(tune) }),
    ...(resources === undefined ? {} : { resources: renamed(resources, { sharedMemory: "shared_memory" }) }),
  } as StepAuthoring;
}

function writtenTune({ search, ...tune }: TypedTune): StepAuthoring["tune"] {
  const ranges = Object.entries(search).map(([name, range]) => [name, renamed(range, { logUniform: "log_uniform" })]);
  const rest: object = renamed(tune, { stopEarly: "stop_early", maxFailed: "max_failed" });
  return { ...rest, search: Object.fromEntries(ranges) } as StepAuthoring["tune"];
}

function renamed<Result>(value: object, names: Readonly<Record<string, string>>): Result {
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [names[key] ?? key, member])) as Result;
}
