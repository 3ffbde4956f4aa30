import type { z } from "zod";
import type { ArtifactType } from "./ir/pipeline.ts";
import type { DataStepContext } from "./step-contract.ts";

/** What a built-in step takes and gives; read by checks, `plan` and the published JSON Schema. */
export interface BuiltinDeclaration {
  name: string;
  /** Part of the cache key: grows when the same inputs would give other outputs. */
  version: number;
  summary: string;
  /** data: pure, from files to files, in a process of its own. record: inside the control plane, idempotent. */
  kind: "data" | "record";
  with: z.ZodType;
  inputs: Readonly<Record<string, { types: readonly ArtifactType[]; required: boolean }>>;
  /** Further inputs under names of the user's choice (the tables of `sql`). */
  otherInputs?: readonly ArtifactType[];
  outputs: Readonly<Record<string, ArtifactType>>;
  /** Outputs that have the type of an input, whatever that is: output -> input. */
  passes?: Readonly<Record<string, string>>;
  /** The user names the outputs (`sql`). */
  otherOutputs?: readonly ArtifactType[];
  /** Implementation library that decides the bytes (`duckdb 1.5.6`); part of the cache key. */
  engine?: string;
  /** true: it runs programs of the step's `environment:`, which others have no use for. */
  environment?: boolean;
  /** true: it has a folder that outlives attempts, and goes on with what an attempt that was killed left there. */
  checkpoint?: boolean;
  /** false: runs every time (`deploy` reconciles). */
  cacheable: boolean;
}

/** What decides the bytes of its outputs, as one text: `2 (duckdb 1.5.6)`. */
export function builtinImplementation({ version, engine }: Pick<BuiltinDeclaration, "version" | "engine">): string {
  return engine === undefined ? String(version) : `${version} (${engine})`;
}

export interface DataBuiltin extends BuiltinDeclaration {
  kind: "data";
  run(context: DataStepContext): Promise<void>;
}
