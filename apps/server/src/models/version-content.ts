import { type ArtifactRef, type Digest, EspalierError, isEspalierError } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { ModelVersionRow } from "../db/queries/models.ts";

/** A version whose content is in the store. */
export type HeldVersion = ModelVersionRow & { digest: Digest; artifact: ArtifactRef };

/** The files that MLflow's clients logged below a folder of the artifact proxy, as one model; undefined while there are none. */
export async function adoptFolder(
  { record, artifacts }: Pick<ControlPlane, "record" | "artifacts">,
  location: string,
): Promise<ArtifactRef | undefined> {
  try {
    return await artifacts.adoptTree(await record.files.below(location), "model");
  } catch (error) {
    if (isEspalierError(error) && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

/**
 * A version with its content. One that a client registered before it logged the files is filled in now, once and for all: what is judged and
 * served is immutable. Errors: NOT_FOUND when there are no files to this day.
 */
export async function requireContent(
  plane: Pick<ControlPlane, "record" | "artifacts">,
  version: ModelVersionRow,
): Promise<HeldVersion> {
  if (isHeld(version)) return version;
  const artifact = version.location === undefined ? undefined : await adoptFolder(plane, version.location);
  if (artifact !== undefined) {
    await plane.record.registry.versions.adopt(version.name, version.version, artifact);
    const filled = await plane.record.models.version(version.name, version.version);
    if (filled !== undefined && isHeld(filled)) return filled;
  }
  throw new EspalierError("NOT_FOUND", `Version ${version.version} of ${version.name} has no files`, {
    ...(version.location === undefined ? {} : { details: { location: version.location } }),
    hint: "It was registered by address: log the model's files there, or register the model again once they are.",
  });
}

function isHeld(version: ModelVersionRow): version is HeldVersion {
  return version.digest !== undefined && version.artifact !== undefined;
}
