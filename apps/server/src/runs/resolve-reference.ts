import { type ArtifactRef, EspalierError, type Reference } from "@espalier/core";
import type { ProjectRecord } from "../db/record.ts";

/** Datasets and models by name, as they are now; null when there is none. */
export async function resolveReference(
  record: Pick<ProjectRecord, "datasets" | "models">,
  reference: Extract<Reference, { kind: "dataset" | "model" | "uri" }>,
): Promise<ArtifactRef | null> {
  if (reference.kind === "uri") {
    throw new EspalierError("UNSUPPORTED", `No source is registered for ${reference.uri}`, {
      hint: "Register the data as a dataset: `espalier dataset log`.",
    });
  }
  if (reference.kind === "model") {
    const version = "version" in reference ? Number(reference.version) : (`@${reference.alias}` as const);
    return (await record.models.version(reference.name, version))?.artifact ?? null;
  }
  const { name, version } = reference;
  const row = await record.datasets.get(
    name,
    version === undefined || version === "latest" ? "latest" : Number(version),
  );
  if (row === undefined) return null;
  if (row.artifact !== undefined) return row.artifact;
  throw new EspalierError(
    "UNSUPPORTED",
    `The dataset ${name}@${row.version} is registered by reference: the store has no copy of it`,
    {
      hint: "Take it in with `espalier dataset log`.",
    },
  );
}
