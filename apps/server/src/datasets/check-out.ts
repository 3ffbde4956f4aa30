import { realpath, rename, rm } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { type ArtifactRef, EspalierError } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";

/** Writes an artifact to a path of the project: all of it or nothing, and over something only when asked to. */
export async function checkOut(
  { project, artifacts, files }: ControlPlane,
  artifact: ArtifactRef,
  target: string,
  { overwrite = false }: { overwrite?: boolean | undefined },
): Promise<void> {
  await refuseEscape(project.directory, target);
  const found = await files.stat(target);
  if (found !== undefined && !overwrite) {
    throw new EspalierError("ALREADY_EXISTS", `${relative(project.directory, target)} is there already`, {
      at: "body.path",
      hint: "Choose another path, or say that it may be overwritten.",
    });
  }
  const fresh = `${target}.espalier-${process.pid}`;
  const old = `${target}.espalier-old-${process.pid}`;
  try {
    await artifacts.materialise(artifact, fresh);
    if (found !== undefined) await rename(target, old);
    await rename(fresh, target);
  } finally {
    await rm(fresh, { recursive: true, force: true });
    await rm(old, { recursive: true, force: true });
  }
}

/** A symlink of the project may lead anywhere; what a client names must not be written there. */
async function refuseEscape(projectDirectory: string, target: string): Promise<void> {
  const root = await realpath(projectDirectory);
  for (let folder = dirname(target); ; folder = dirname(folder)) {
    const real = await realpath(folder).catch(() => undefined);
    if (real === undefined && folder !== dirname(folder)) continue;
    if (real === root || real?.startsWith(`${root}/`)) return;
    throw new EspalierError("INVALID_INPUT", "The path leads out of the project by a symlink", {
      at: "body.path",
      hint: "Choose a path whose folders are the project's own.",
    });
  }
}
