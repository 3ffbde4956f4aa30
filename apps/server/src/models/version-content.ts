import { type ArtifactRef, type Digest, EspalierError, isEspalierError } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { ModelVersionRow } from "../db/queries/models.ts";

/** A version whose content is in the store. */
export type HeldVersion = ModelVersionRow & { digest: Digest; artifact: ArtifactRef };

/**
 * The files that MLflow's clients logged below a folder of the artifact proxy, as one model; or the output of a step that is shown there.
 * undefined while there is neither.
 */
export async function adoptFolder(
  { record, artifacts }: Pick<ControlPlane, "record" | "artifacts">,
  location: string,
): Promise<ArtifactRef | undefined> {
  try {
    return await artifacts.adoptTree(await record.files.below(location), "model");
  } catch (error) {
    if (isEspalierError(error) && error.code === "NOT_FOUND") return outputAt(record, location);
    throw error;
  }
}

/** `outputs/<name>` of an attempt, as the artifact proxy shows it. */
async function outputAt(record: ControlPlane["record"], location: string): Promise<ArtifactRef | undefined> {
  const place = await record.files.placeOf(location);
  if (place?.pipeline !== "attempt") return undefined;
  const [folder, name, ...more] = location.slice(place.root.length + 1).split("/");
  if (folder !== "outputs" || name === undefined || more.length > 0) return undefined;
  const outputs = (await record.published.outputsOfAttempt(place.id)) ?? {};
  const output = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
  return output?.type === "model" ? output : undefined;
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
