import type { ArtifactRef } from "@espalier/core";
import type { ControlPlane } from "../../control-plane.ts";
import type { FolderEntry } from "../../db/queries/files.ts";
import type { Outputs } from "../../db/queries/published.ts";
import type { VirtualFiles } from "./folders.ts";
import { artifactEntry, findInArtifact, listArtifact, pageOfEntries } from "./tree-files.ts";

const outputsName = "outputs";
const outputsFolder: FolderEntry = { name: outputsName, isFolder: true };

/**
 * What steps published, read-only: `outputs/<name>` of the attempt that brought its step to its end, `outputs/<step>/<name>` of a pipeline's
 * run. The branches of a mapped step are one there, as they are to the next step.
 */
export function outputFiles({ record, artifacts }: ControlPlane, runId: string, kind: "run" | "attempt"): VirtualFiles {
  const { published } = record;

  /** The outputs that a path below `outputs` is in, and the rest of the path; undefined above them, and where there are none. */
  async function locate(
    segments: readonly string[],
  ): Promise<{ outputs: Outputs; rest: readonly string[] } | undefined> {
    const [step, ...inside] = segments;
    if (kind === "run" && step === undefined) return undefined;
    const outputs =
      kind === "attempt" ? await published.outputsOfAttempt(runId) : await published.outputsOfStep(runId, step ?? "");
    return outputs === undefined ? undefined : { outputs, rest: kind === "attempt" ? segments : inside };
  }

  function artifactIn({ outputs, rest }: { outputs: Outputs; rest: readonly string[] }): Located | undefined {
    const [name = "", ...inside] = rest;
    const ref = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
    return ref === undefined ? undefined : { ref, path: inside.join("/") };
  }

  async function entriesOf(folder: string): Promise<FolderEntry[]> {
    const [first, ...segments] = folder === "" ? [] : folder.split("/");
    if (first !== undefined && first !== outputsName) return [];
    const located = await locate(segments);
    if (located === undefined) {
      const steps = kind === "run" && segments.length === 0 ? await published.stepsWithOutputs(runId) : [];
      return steps.length > 0 && first === undefined
        ? [outputsFolder]
        : steps.map((name) => ({ name, isFolder: true }));
    }
    const entries = Object.entries(located.outputs).map(([name, ref]) => artifactEntry(name, ref));
    if (first === undefined) return entries.length > 0 ? [outputsFolder] : [];
    if (located.rest.length === 0) return entries;
    const at = artifactIn(located);
    return at === undefined ? [] : listArtifact(artifacts, at.ref, at.path);
  }

  return {
    async find(path) {
      const [first, ...segments] = path.split("/");
      const located = first === outputsName ? await locate(segments) : undefined;
      const at = located === undefined ? undefined : artifactIn(located);
      return at === undefined ? undefined : findInArtifact(artifacts, at.ref, at.path);
    },
    list: async (folder, limit, after) => pageOfEntries(await entriesOf(folder), limit, after),
  };
}

interface Located {
  ref: ArtifactRef;
  path: string;
}
