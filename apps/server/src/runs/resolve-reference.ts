import { type ArtifactRef, EspalierError, type Reference } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { requireContent } from "../models/version-content.ts";

/** Datasets and models by name, as they are now; null when there is none. */
export async function resolveReference(
  plane: Pick<ControlPlane, "record" | "artifacts">,
  reference: Extract<Reference, { kind: "dataset" | "model" | "uri" }>,
): Promise<ArtifactRef | null> {
  const { record } = plane;
  if (reference.kind === "uri") {
    throw new EspalierError("UNSUPPORTED", `No source is registered for ${reference.uri}`, {
      hint: "Register the data as a dataset: `espalier dataset log`.",
    });
  }
  if (reference.kind === "model") {
    const version = "version" in reference ? Number(reference.version) : (`@${reference.alias}` as const);
    const row = await record.models.version(reference.name, version);
    return row === undefined ? null : (await requireContent(plane, row)).artifact;
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
