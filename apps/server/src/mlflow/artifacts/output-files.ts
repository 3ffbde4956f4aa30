import type { ArtifactRef } from "@espalier/core";
import type { ControlPlane } from "../../control-plane.ts";
import type { Outputs } from "../../db/queries/published.ts";
import type { VirtualFiles } from "./folders.ts";
import { artifactEntry, findInArtifact, listArtifact, pageOfEntries } from "./tree-files.ts";

const outputsName = "outputs";

/**
 * What steps published, read-only: `outputs/<name>` of the attempt that brought its step to its end; `outputs/<step>/<name>` of a
 * pipeline's run, with the number of the branch (five digits) in between where the step is mapped.
 */
export function outputFiles({ record, artifacts }: ControlPlane, runId: string, kind: "run" | "attempt"): VirtualFiles {
  const { published } = record;

  /** Outputs by name, and what follows in the path. undefined: the path leads to none, or stops above. */
  async function locate(segments: readonly string[]): Promise<{ outputs: Outputs; rest: string[] } | undefined> {
    if (kind === "attempt") {
      const outputs = await published.outputsOfAttempt(runId);
      return outputs === undefined ? undefined : { outputs, rest: [...segments] };
    }
    const [step, ...rest] = segments;
    if (step === undefined) return undefined;
    const outputs = await published.outputsOfStep(runId, step, -1);
    if (outputs !== undefined) return { outputs, rest };
    const [branch, ...inside] = rest;
    if (branch === undefined || !/^\d{5,9}$/.test(branch)) return undefined;
    const ofBranch = await published.outputsOfStep(runId, step, Number(branch));
    return ofBranch === undefined ? undefined : { outputs: ofBranch, rest: inside };
  }

  async function artifactAt(segments: readonly string[]): Promise<{ ref: ArtifactRef; path: string } | undefined> {
    const located = await locate(segments);
    const [name, ...inside] = located?.rest ?? [];
    if (located === undefined || name === undefined || !Object.hasOwn(located.outputs, name)) return undefined;
    const ref = located.outputs[name];
    return ref === undefined ? undefined : { ref, path: inside.join("/") };
  }

  async function hasOutputs(): Promise<boolean> {
    if (kind === "run") return (await published.stepsWithOutputs(runId)).length > 0;
    return Object.keys((await published.outputsOfAttempt(runId)) ?? {}).length > 0;
  }

  return {
    async find(path) {
      const [first, ...segments] = path.split("/");
      const at = first === outputsName ? await artifactAt(segments) : undefined;
      return at === undefined ? undefined : findInArtifact(artifacts, at.ref, at.path);
    },
    async list(folder, limit, after) {
      if (folder === "") {
        const entries = (await hasOutputs()) ? [{ name: outputsName, isFolder: true }] : [];
        return pageOfEntries(entries, limit, after);
      }
      const [first, ...segments] = folder.split("/");
      if (first !== outputsName) return { entries: [] };
      const at = await artifactAt(segments);
      if (at !== undefined) return pageOfEntries(await listArtifact(artifacts, at.ref, at.path), limit, after);
      const located = await locate(segments);
      if (located?.rest.length === 0) {
        const entries = Object.entries(located.outputs).map(([name, ref]) => artifactEntry(name, ref));
        return pageOfEntries(entries, limit, after);
      }
      const [step, ...rest] = segments;
      if (kind === "attempt" || rest.length > 0) return { entries: [] };
      if (step === undefined) {
        const steps = await published.stepsWithOutputs(runId);
        return pageOfEntries(
          steps.map((name) => ({ name, isFolder: true })),
          limit,
          after,
        );
      }
      const last = after === undefined || after === "" ? undefined : Number(after);
      const branches = await published.branches(runId, step, limit + 1, last);
      const entries = branches.slice(0, limit).map((branch) => ({ name: branchName(branch), isFolder: true }));
      const next = branches.length > limit ? entries.at(-1)?.name : undefined;
      return next === undefined ? { entries } : { entries, next };
    },
  };
}

const branchName = (branch: number): string => String(branch).padStart(5, "0");
