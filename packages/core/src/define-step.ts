import type { Json } from "./canonical-json.ts";
import type { ArtifactType, OutputIr, ParameterValue } from "./ir/pipeline.ts";
import type { StepEvent } from "./step-contract.ts";

export type TypedPorts = Readonly<Record<string, ArtifactType>>;
/** A type, or a type with what is promised of it: `{ type: "model", determinism: "exact" }`. */
export type OutputDeclaration = ArtifactType | OutputIr;
export type TypedOutputs = Readonly<Record<string, OutputDeclaration>>;
export type TypeOf<Output> = Output extends ArtifactType
  ? Output
  : Output extends { readonly type: infer Type }
    ? Type
    : never;
export type TypedParameters = Readonly<Record<string, "string" | "number" | "boolean">>;

interface ParameterTypes {
  string: string;
  number: number;
  boolean: boolean;
}

/** What a step written in TypeScript is called with. */
export interface TypescriptStepContext<
  Inputs extends TypedPorts,
  Outputs extends TypedOutputs,
  Parameters extends TypedParameters,
> {
  /** Absolute paths; of `value` inputs the parsed JSON document. */
  inputs: { readonly [Name in keyof Inputs]: Inputs[Name] extends "value" ? Json : string };
  /** Absolute paths to write to; `value` outputs are returned instead. */
  outputs: { readonly [Name in keyof Outputs as TypeOf<Outputs[Name]> extends "value" ? never : Name]: string };
  params: { readonly [Name in keyof Parameters]: ParameterTypes[Parameters[Name]] };
  /** For logs and names. A step that depends on the date takes it as a parameter, which its cache key then holds. */
  run: { id: string; step: string; attemptId: string };
  emit(event: StepEvent): void;
  /** Aborted when the step is asked to stop. */
  signal: AbortSignal;
  /** Folder that outlives attempts, for a step that declares `checkpoint`. */
  checkpoint?: string;
}

type ValueOutputs<Outputs extends TypedOutputs> = {
  [Name in keyof Outputs as TypeOf<Outputs[Name]> extends "value" ? Name : never]: Json;
};

/** The `value` outputs; nothing where there are none. */
type TypescriptStepResult<Outputs extends TypedOutputs> = keyof ValueOutputs<Outputs> extends never
  ? // biome-ignore lint/suspicious/noConfusingVoidType: a function without `return` gives void, and is what is meant here.
    undefined | void
  : ValueOutputs<Outputs>;

export interface TypescriptStep<
  Inputs extends TypedPorts = TypedPorts,
  Outputs extends TypedOutputs = TypedOutputs,
  Parameters extends TypedParameters = TypedParameters,
> {
  readonly kind: "espalier-step";
  /** URL of the module that exports it. */
  readonly module: string;
  readonly inputs: Inputs;
  readonly outputs: Outputs;
  readonly params: Parameters;
  // A method, so that a step of any types is assignable to the step of unknown types.
  run(
    context: TypescriptStepContext<Inputs, Outputs, Parameters>,
  ): Promise<TypescriptStepResult<Outputs>> | TypescriptStepResult<Outputs>;
}

/**
 * A step written in TypeScript. Export it from the module whose `import.meta.url` is given: runs name it by module and export.
 *
 * `export const train = defineStep(import.meta.url, { inputs: { rows: "parquet" }, outputs: { report: "value" } }, async ({ inputs }) => ...)`
 */
export function defineStep<
  const Inputs extends TypedPorts = Record<never, never>,
  const Outputs extends TypedOutputs = Record<never, never>,
  const Parameters extends TypedParameters = Record<never, never>,
>(
  module: string,
  declaration: { inputs?: Inputs; outputs?: Outputs; params?: Parameters },
  run: TypescriptStep<Inputs, Outputs, Parameters>["run"],
): TypescriptStep<Inputs, Outputs, Parameters> {
  return {
    kind: "espalier-step",
    module,
    inputs: declaration.inputs ?? ({} as Inputs),
    outputs: declaration.outputs ?? ({} as Outputs),
    params: declaration.params ?? ({} as Parameters),
    run,
  };
}

export function isTypescriptStepValue(value: unknown): value is TypescriptStep {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "espalier-step";
}

export function outputType(declaration: OutputDeclaration): ArtifactType {
  return typeof declaration === "string" ? declaration : declaration.type;
}

/** The step's parameters, given a pipeline's. */
export type ParametersOf<Parameters extends Readonly<Record<string, ParameterValue>>> = {
  readonly [Name in keyof Parameters]: Parameters[Name] extends string
    ? "string"
    : Parameters[Name] extends number
      ? "number"
      : "boolean";
};
