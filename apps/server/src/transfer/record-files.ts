import type { TrackedFile } from "@espalier/core";
import type { HeldVersion } from "../db/queries/transfer/read-tracked.ts";
import type { ArtifactFolders } from "../mlflow/artifacts/folders.ts";

const entriesAtOnce = 500;

/** Every file below a folder of the artifact proxy, with paths relative to it. Files come as their folder is reached. */
export async function* filesBelow(folders: ArtifactFolders, root: string): AsyncGenerator<TrackedFile> {
  const waiting = [""];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const prefix = folder === "" ? "" : `${folder}/`;
    let after: string | undefined;
    do {
      const page = await folders.list(`${root}${folder === "" ? "" : `/${folder}`}`, entriesAtOnce, after);
      for (const entry of page.entries) {
        const path = prefix + entry.name;
        if (entry.isFolder) waiting.push(path);
        else yield* theFile(folders, root, path);
      }
      after = page.next;
    } while (after !== undefined);
  }
}

async function* theFile(folders: ArtifactFolders, root: string, path: string): AsyncGenerator<TrackedFile> {
  const found = await folders.find(`${root}/${path}`);
  if (found !== undefined) yield { path, size: found.size, open: () => found.open() };
}

/** Path of the artifact proxy that an `mlflow-artifacts:` URI of ours means; undefined for files that are elsewhere. */
export function proxyPathOf(uri: string): string | undefined {
  return /^mlflow-artifacts:(?:\/\/[^/]*)?\/*(.*?)\/*$/.exec(uri)?.[1];
}

/** Where a version's content is shown; a tree of ours is shown with the MLmodel that MLflow's clients want. */
export function contentPath(version: HeldVersion): string | undefined {
  if (version.artifact !== undefined) return `espalier/${version.artifact.digest.slice("sha256:".length)}`;
  return version.location ?? proxyPathOf(version.source);
}
