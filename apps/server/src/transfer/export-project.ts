import { extname, join } from "node:path";
import { type ArtifactRef, isEspalierError, presentEvent } from "@espalier/core";
import { loadMlflowParts } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import { createArtifactFolders } from "../mlflow/artifacts/folders.ts";
import { countExported } from "./count-exported.ts";
import { isThere, writeManifest, writeWhole } from "./export-folder.ts";
import { exportMlflow } from "./export-mlflow.ts";
import { openTrackedSource } from "./sources/open-source-of.ts";
import type { CountRow, TransferContext, TransferResult } from "./transfer-port.ts";

const atOnce = 500;

/**
 * Everything that the record holds, in open formats: `mlruns` (MLflow's file store), `datasets`, `artifacts` by digest, `runs`, `lineage` (OpenLineage), and a
 * manifest of digests. Goes on where it was cut off; each file is whole or not there.
 */
export async function exportProject(
  plane: ControlPlane,
  context: TransferContext,
  folder: string,
): Promise<TransferResult> {
  const tracked = await exportTracked(plane, context, folder);
  const datasets = await exportDatasets(plane, context, folder);
  const artifacts = await exportArtifacts(plane, context, folder);
  const runs = await exportRuns(plane, context, folder);
  context.progress.phase = "hashing";
  context.changed();
  await writeWhole(join(folder, "README.md"), readme(plane.project.name));
  const { files, bytes } = await writeManifest(folder, plane.project.name, context.signal);
  const counts = [...tracked.counts, datasets, artifacts, runs];
  return {
    description: `${folder}: ${files} files, ${bytes} bytes, each with its digest in manifest.json`,
    counts,
    losses: [
      "states of endpoints, schedules, tokens and secrets",
      "captured predictions and reports of monitors",
      "traces and assessments",
    ],
  };
}

async function exportTracked(plane: ControlPlane, context: TransferContext, folder: string): Promise<TransferResult> {
  const parts = await loadMlflowParts();
  const mlruns = join(folder, "mlruns");
  const tracker = parts.createMlrunsTracker(mlruns, "mlruns");
  const registry = parts.createMlrunsRegistry(mlruns, "mlruns", tracker.placeOf);
  const target = {
    tracker,
    registry,
    folders: createArtifactFolders(plane),
    losses: [],
    count: async () => {
      const source = await openTrackedSource({
        source: mlruns,
        artifacts: undefined,
        credentials: undefined,
        signal: plane.closing,
      });
      try {
        return await countExported(context, source, true);
      } finally {
        await source.close();
      }
    },
  };
  return exportMlflow(context, target, { artifacts: true });
}

async function exportDatasets(
  { record, artifacts }: ControlPlane,
  context: TransferContext,
  folder: string,
): Promise<CountRow> {
  let source = 0;
  let here = 0;
  await eachListed(record.datasets.list, async ({ name }) => {
    context.progress.phase = `dataset ${name}`;
    context.changed();
    await eachListed(
      (page) => record.datasets.versions(name, page),
      async ({ version, artifact, source: from, rows, createdAt }) => {
        context.signal.throwIfAborted();
        source += 1;
        const place = join(folder, "datasets", name, String(version));
        const about = { name, version, digest: artifact?.digest, source: from, rows, createdAt };
        await writeWhole(join(place, "dataset.json"), `${JSON.stringify(about, undefined, 1)}\n`);
        // One that a client only named, without content, is told and no more.
        if (artifact === undefined) here += 1;
        else if (await materialise(artifacts, artifact, join(place, `data${extensionOf(artifact, from)}`), context))
          here += 1;
      },
    );
  });
  return { what: "dataset versions", source, here, equal: source === here };
}

/** By digest, as `runs` names them; a model or a tree is a folder. */
async function exportArtifacts(
  { record, artifacts }: ControlPlane,
  context: TransferContext,
  folder: string,
): Promise<CountRow> {
  let source = 0;
  let here = 0;
  const seen = new Set<string>();
  for await (const ref of record.references.artifacts()) {
    context.signal.throwIfAborted();
    if (seen.has(ref.digest)) continue;
    seen.add(ref.digest);
    source += 1;
    context.progress.phase = "artifacts";
    context.progress.files += 1;
    context.changed();
    if (await materialise(artifacts, ref, join(folder, placeOf(ref)), context)) here += 1;
  }
  return { what: "artifacts", source, here, equal: source === here };
}

function placeOf(ref: ArtifactRef): string {
  return `artifacts/${ref.digest.replace(":", "-")}${extensionOf(ref)}`;
}

/** false: the store has lost or damaged it, which is told by the count. */
async function materialise(
  artifacts: ControlPlane["artifacts"],
  ref: ArtifactRef,
  target: string,
  { logger, progress }: TransferContext,
): Promise<boolean> {
  if (await isThere(target)) return true;
  try {
    await artifacts.materialise(ref, target);
    progress.bytes += ref.size;
    return true;
  } catch (error) {
    if (!isEspalierError(error) || (error.code !== "NOT_FOUND" && error.code !== "CORRUPTED")) throw error;
    logger.warn({ digest: ref.digest, target }, `not exported: ${error.message}`);
    return false;
  }
}

function extensionOf({ type }: ArtifactRef, source = ""): string {
  if (type === "tree" || type === "model") return "";
  if (type === "parquet") return ".parquet";
  if (type === "value") return ".json";
  return extname(source);
}

/** One document a run, and one OpenLineage event a run, in one file. */
async function exportRuns(
  { record, project }: ControlPlane,
  context: TransferContext,
  folder: string,
): Promise<CountRow> {
  const events: string[] = [];
  let source = 0;
  await eachListed(
    (page) => record.runs.list({}, page),
    async ({ id }) => {
      context.signal.throwIfAborted();
      const run = await record.runs.get(id);
      if (run === undefined) return;
      source += 1;
      context.progress.phase = `run ${id}`;
      context.changed();
      const steps = await record.engine.steps(id);
      await writeWhole(join(folder, "runs", `${id}.json`), `${JSON.stringify({ run, steps }, undefined, 1)}\n`);
      events.push(JSON.stringify(presentEvent({ project: project.name, run, steps, attempts: [] })));
    },
  );
  await writeWhole(join(folder, "lineage", "openlineage.jsonl"), events.map((event) => `${event}\n`).join(""));
  return { what: "pipeline runs and their lineage", source, here: events.length, equal: source === events.length };
}

async function eachListed<Item>(
  list: (page: { limit: number; cursor?: string }) => Promise<{ items: Item[]; next?: string }>,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await list({ limit: atOnce, ...(cursor === undefined ? {} : { cursor }) });
    for (const item of page.items) await work(item);
    cursor = page.next;
  } while (cursor !== undefined);
}

const readme = (project: string): string => `# ${project}

Everything that its record held, in open formats.

- \`mlruns/\`: experiments, runs, models and their files as MLflow's file store. Start a stock MLflow in this folder:
  \`MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri ./mlruns\`. Places of files are relative to this folder.
- \`datasets/<name>/<version>/\`: data as they were logged, and what is known of them.
- \`runs/<id>.json\`: pipeline runs with their steps; outputs are named by digest.
- \`artifacts/sha256-<digest>\`: those outputs: files, Parquet, folders; a model is a folder with its ONNX or MLflow payload and its signature.
- \`lineage/openlineage.jsonl\`: one OpenLineage event a run.
- \`manifest.json\`: size and SHA-256 of every file. \`espalier export verify .\` holds the folder against it, and so does any script.
`;
