import type { BuiltinDeclaration } from "../../builtin.ts";
import { type ErrorCode, toEspalierError } from "../../errors.ts";
import { type Fault, jsonPointer } from "../../fault.ts";
import { isTypescriptStep } from "../normalize.ts";
import type { ArtifactType, PipelineIr, StepIr } from "../pipeline.ts";
import { type Reference, tryParseReference } from "../references.ts";
import { searchOutputs } from "../trials.ts";

/** What checks may know about the world; what is left out is not checked. */
export interface CheckOptions {
  builtins: readonly BuiltinDeclaration[];
  /** What lies at a path of the project (`./data/rows.parquet`). */
  pathKind?: (path: string) => "file" | "folder" | undefined;
  /** Names that `compute:` may say in the stack of the run; absent: any. */
  computes?: readonly string[];
  /** Names that the project declares under `secrets:`; absent: any. */
  secrets?: readonly string[];
  /** Names of the exported steps of a TypeScript module; undefined when it can not be loaded. */
  moduleExports?: (path: string) => readonly string[] | undefined;
}

/** One check: a pure function from the pipeline to the faults of one kind. */
export type Check = (context: CheckContext) => Fault[];

export class CheckContext {
  readonly pipeline: PipelineIr;
  readonly options: CheckOptions;
  readonly #builtins: ReadonlyMap<string, BuiltinDeclaration>;

  constructor(pipeline: PipelineIr, options: CheckOptions) {
    this.pipeline = pipeline;
    this.options = options;
    this.#builtins = new Map(options.builtins.map((builtin) => [builtin.name, builtin]));
  }

  get steps(): [string, StepIr][] {
    return Object.entries(this.pipeline.steps);
  }

  step(name: string): StepIr | undefined {
    return Object.hasOwn(this.pipeline.steps, name) ? this.pipeline.steps[name] : undefined;
  }

  /** The declaration behind `uses:`; undefined for commands, TypeScript steps and unknown names. */
  builtin(step: StepIr): BuiltinDeclaration | undefined {
    return step.uses === undefined || isTypescriptStep(step) ? undefined : this.#builtins.get(step.uses);
  }

  get builtinNames(): string[] {
    return [...this.#builtins.keys()];
  }

  /** References of a step by input; those that do not parse are left out, another check tells of them. */
  references(step: StepIr): [string, Reference][] {
    return Object.entries(step.inputs ?? {}).flatMap(([input, text]): [string, Reference][] => {
      const reference = tryParseReference(text);
      return reference === undefined ? [] : [[input, reference]];
    });
  }

  /** Outputs of a step with their types; undefined when they can not be known (an unknown built-in). */
  outputs(step: StepIr): Readonly<Record<string, ArtifactType | undefined>> | undefined {
    const own = Object.fromEntries(Object.entries(step.outputs ?? {}).map(([name, output]) => [name, output.type]));
    const builtin = this.builtin(step);
    if (step.tune !== undefined) Object.assign(own, searchOutputs);
    if (builtin === undefined) return step.uses === undefined || isTypescriptStep(step) ? own : undefined;
    const passed = Object.entries(builtin.passes ?? {}).map(([output, input]): [string, ArtifactType | undefined] => {
      const reference = tryParseReference(step.inputs?.[input] ?? "");
      return [output, reference === undefined ? undefined : this.referenceType(reference)];
    });
    return { ...builtin.outputs, ...Object.fromEntries(passed), ...own };
  }

  /** The type of what a reference leads to; undefined when that is only known once it is resolved. */
  referenceType(reference: Reference, seen: readonly string[] = []): ArtifactType | undefined {
    if (reference.kind === "model") return "model";
    if (reference.kind === "file") {
      if (reference.path.endsWith(".parquet")) return "parquet";
      const kind = this.options.pathKind?.(reference.path);
      return kind === "folder" ? "tree" : kind;
    }
    if (reference.kind !== "step" || seen.includes(reference.step)) return undefined;
    const step = this.step(reference.step);
    if (step === undefined) return undefined;
    const builtin = this.builtin(step);
    const input = builtin?.passes?.[reference.output];
    const passed = input === undefined ? undefined : tryParseReference(step.inputs?.[input] ?? "");
    const type =
      passed === undefined
        ? (step.outputs?.[reference.output]?.type ??
          (step.tune === undefined ? undefined : searchOutputs[reference.output as keyof typeof searchOutputs]) ??
          builtin?.outputs[reference.output])
        : this.referenceType(passed, [...seen, reference.step]);
    // What the input can not be is told there, not once more where it ends up.
    if (passed !== undefined && type !== undefined && builtin?.inputs[input ?? ""]?.types.includes(type) === false)
      return undefined;
    // The branches of a mapped step lie side by side; of documents a list is made.
    return step.map === undefined || type === "value" ? type : "tree";
  }
}

export function fault(
  check: string,
  path: readonly PropertyKey[],
  message: string,
  hint?: string,
  code: ErrorCode = "INVALID_PIPELINE",
): Fault {
  return { code, check, message, pointer: jsonPointer(path), ...(hint === undefined ? {} : { hint }) };
}

/** What `attempt` throws, as a fault. */
export function faultOf(check: string, path: readonly PropertyKey[], attempt: () => unknown): Fault[] {
  try {
    attempt();
    return [];
  } catch (thrown) {
    const error = toEspalierError(thrown);
    return [fault(check, path, error.message, error.hint, error.code)];
  }
}
