import { EspalierError } from "@espalier/core";
import type { RecordDatabase } from "../database.ts";
import { artifactRoot } from "./tracking/experiments.ts";

/** What a file belongs to. */
export interface FilePlace {
  experimentId: string;
  kind: "run" | "model" | "trace";
  id: string;
  /** Path of its folder of files. */
  root: string;
  isDeleted: boolean;
  /** A run of a pipeline, or an attempt in one. */
  pipeline?: "run" | "attempt";
}

type Reader = Pick<RecordDatabase["kysely"], "selectFrom">;

/**
 * The run, logged model or trace in whose folder a path lies, or which it is. A folder counts only when the record says that it is the one
 * of that run: the names in a path prove nothing.
 */
export async function findPlace(from: Reader, projectId: string, path: string): Promise<FilePlace | undefined> {
  for (const { kind, id, root, base } of candidates(path)) {
    const owner = await ownerOf(from, projectId, kind, id, base);
    if (owner !== undefined && owner.root === root) {
      const isDeleted = owner.lifecycle_stage !== "active";
      const pipeline = owner.kind === "pipeline" ? "run" : owner.kind === "attempt" ? "attempt" : undefined;
      return { experimentId: owner.experiment_id, kind, id, root, isDeleted, ...(pipeline ? { pipeline } : {}) };
    }
  }
  return undefined;
}

/** NOT_FOUND: nothing on record has its files there; INVALID_INPUT: it is deleted, or the path names no file in it. */
export async function requirePlace(from: Reader, projectId: string, path: string): Promise<FilePlace> {
  const place = await findPlace(from, projectId, path);
  if (place === undefined) {
    const [first] = candidates(path);
    if (first?.kind === "run") throw new EspalierError("NOT_FOUND", `Run with id=${first.id} not found`);
    if (first?.kind === "model") throw new EspalierError("NOT_FOUND", `Logged model '${first.id}' not found`);
    throw new EspalierError("INVALID_INPUT", "A file lies below a run, a logged model or a trace on record", {
      hint: "Its path is <experiment id>/<run id>/artifacts/<name>.",
    });
  }
  if (place.isDeleted) {
    const what = place.kind === "run" ? `run ${place.id}` : `${place.kind} ${place.id}`;
    throw new EspalierError("INVALID_INPUT", `The ${what} must be in the 'active' state. Current state is deleted.`);
  }
  if (path === place.root) throw new EspalierError("INVALID_INPUT", "The path names a folder, not a file in it");
  return place;
}

interface Candidate {
  kind: FilePlace["kind"];
  id: string;
  root: string;
  /** What lies above the folder of the run or model. */
  base: string;
}

/** Several, since an experiment's own folder may hold segments of these names too. */
function candidates(path: string): Candidate[] {
  const segments = path.split("/");
  return segments.flatMap((segment, index): Candidate[] => {
    const id = segments[index - 1];
    if (segment !== "artifacts" || id === undefined || index < 2) return [];
    const upTo = (end: number): string => segments.slice(0, end).join("/");
    const run: Candidate = { kind: "run", id, root: upTo(index + 1), base: upTo(index - 1) };
    const kind = index < 3 ? undefined : kinds[segments[index - 2] ?? ""];
    return kind === undefined ? [run] : [{ ...run, kind, base: upTo(index - 2) }, run];
  });
}

const kinds: Readonly<Record<string, FilePlace["kind"]>> = { models: "model", traces: "trace" };

interface Owner {
  experiment_id: string;
  lifecycle_stage: string;
  kind?: string;
  root: string;
}

async function ownerOf(
  from: Reader,
  projectId: string,
  kind: FilePlace["kind"],
  id: string,
  base: string,
): Promise<Owner | undefined> {
  if (kind === "run") {
    const run = await from
      .selectFrom("runs")
      .select(["experiment_id", "lifecycle_stage", "kind", "artifact_uri"])
      .where("project_id", "=", projectId)
      .where("run_id", "=", id)
      .executeTakeFirst();
    if (run === undefined) return undefined;
    const location = run.artifact_uri ?? `${artifactRoot}${run.experiment_id}/${id}/artifacts`;
    return { ...run, root: location.slice(artifactRoot.length) };
  }
  if (kind === "model") {
    const model = await from
      .selectFrom("logged_models")
      .select(["experiment_id", "lifecycle_stage", "artifact_location"])
      .where("project_id", "=", projectId)
      .where("model_id", "=", id)
      .executeTakeFirst();
    return model === undefined ? undefined : { ...model, root: model.artifact_location.slice(artifactRoot.length) };
  }
  // A trace's files may come before the trace itself.
  const experiment = await from
    .selectFrom("experiments")
    .select(["experiment_id", "lifecycle_stage"])
    .where("project_id", "=", projectId)
    .where((where) =>
      where.or([
        where("artifact_location", "=", `${artifactRoot}${base}`),
        where.and([where("artifact_location", "is", null), where("experiment_id", "=", base)]),
      ]),
    )
    .orderBy("experiment_id")
    .limit(1)
    .executeTakeFirst();
  return experiment === undefined ? undefined : { ...experiment, root: `${base}/traces/${id}/artifacts` };
}
