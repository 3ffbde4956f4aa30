import type { BuiltinDeclaration, LocalFiles } from "@espalier/core";
import type { CompactionResult, DuckDb, DuckDbOptions } from "@espalier/embedded";

export type { CompactionResult, DuckDb };

export interface EmbeddedParts {
  files: LocalFiles;
  dataBuiltins: readonly BuiltinDeclaration[];
  openDuckDb(options: DuckDbOptions): Promise<DuckDb>;
  /** Turns closed capture segments of a folder into Parquet files. */
  compactCapture(directory: string): Promise<CompactionResult>;
  /** Where those Parquet files lie. */
  compactedDirectory(directory: string): string;
  /** Name of an input's column in them. */
  captureColumn(input: string): string;
}

/** What the control plane needs of the embedded tools whatever the stack is; loaded on use, since it takes longer than a command's help. */
export async function loadEmbeddedParts(): Promise<EmbeddedParts> {
  const { captureColumn, compactCapture, compactedDirectory, createLocalFiles, dataBuiltins, openDuckDb } =
    await import("@espalier/embedded");
  return { files: createLocalFiles(), dataBuiltins, openDuckDb, compactCapture, compactedDirectory, captureColumn };
}
