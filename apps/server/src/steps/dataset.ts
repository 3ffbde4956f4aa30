import { join } from "node:path";
import { type ArtifactRef, type Json, type RecordStep, recordBuiltins } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { describeTable, type TableShape, tableSource, withDuckDb } from "../datasets/tables.ts";
import { requireInput, valueOutput } from "./step-values.ts";

/** Idempotent on (name, digest). */
export function datasetStep(plane: () => ControlPlane): RecordStep {
  return async (context) => {
    const { record, artifacts } = plane();
    const settings = recordBuiltins.dataset.with.parse(context.with);
    const file = requireInput(context, "file");
    const shape = await shapeOf(plane(), file);
    const version = await record.datasets.log({
      name: settings.name,
      digest: file.ref.digest,
      artifact: file.ref,
      source: file.reference,
      runId: context.run.id,
      attemptId: context.attemptId,
      createdBy: context.run.trigger.by,
      ...(shape === undefined ? {} : { rows: shape.rows, schema: JSON.parse(JSON.stringify(shape.columns)) as Json }),
      ...(settings.description === undefined ? {} : { description: settings.description }),
      ...(settings.tags === undefined ? {} : { tags: settings.tags }),
    });
    const value = { dataset: settings.name, version: version.version, digest: version.digest, source: file.reference };
    const result = await valueOutput(artifacts, "version", value);
    if (result.state === "waiting") return result;
    return { ...result, outputs: { ...result.outputs, dataset: file.ref } };
  };
}

/** Read from Parquet's own metadata, where the file lies in the project: the content of the store is not copied out for it. */
async function shapeOf(
  { project, files }: ControlPlane,
  { ref, reference }: { ref: ArtifactRef; reference: string },
): Promise<TableShape | undefined> {
  if (ref.type !== "parquet" || !reference.startsWith("./")) return undefined;
  const path = join(project.directory, reference);
  const found = await files.stat(path);
  const source = found?.size === ref.size ? tableSource(path, ref.type, reference) : undefined;
  return source === undefined ? undefined : withDuckDb((database) => describeTable(database, source));
}
