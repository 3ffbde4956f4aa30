import type { SourceRun, TrackedSource } from "@espalier/core";
import type { TransferKind } from "../db/queries/transfer/transfers.ts";
import { tieTag } from "./tie-tag.ts";
import type { TransferContext } from "./transfer-port.ts";

const itemsAtOnce = 1000;

/** What the server itself shows of what the ledger says is there. */
export async function countExported(
  context: Pick<TransferContext, "record" | "peer">,
  source: TrackedSource,
  withFiles: boolean,
): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  const add = (name: string, count: number): void => {
    found[name] = (found[name] ?? 0) + count;
  };
  const [experiments, runs, models, versions, registered] = await Promise.all(
    (["experiment", "run", "model", "version", "registered-model"] as const).map((kind) => targets(context, kind)),
  );
  for await (const experiment of source.experiments()) {
    if (!experiments?.has(experiment.id)) continue;
    add("experiments", 1);
    for await (const run of source.runs(experiment.id)) {
      if (!runs?.has(run.run.id)) continue;
      add("runs", 1);
      add("params", Object.keys(run.params).length);
      add("tags", await equalTags(context, run));
      add("metrics", run.metricKeys.length);
      add("inputs", run.inputs.length);
      for await (const points of source.points(run)) add("points", points.length);
      if (withFiles) await addFiles(source, run, add);
    }
    for await (const model of source.loggedModels(experiment.id)) {
      if (!models?.has(model.model.id)) continue;
      add("loggedModels", 1);
      if (withFiles) await addFiles(source, model, add);
    }
  }
  for await (const model of source.registeredModels()) {
    if (!registered?.has(model.name)) continue;
    add("registeredModels", 1);
    add("aliases", Object.keys(model.aliases).length);
    for await (const version of source.versions(model.name)) {
      if (versions?.has(`${model.name}/${version.version}`)) add("versions", 1);
    }
  }
  return found;
}

/** Tags of ours that are over there; the server and the mirror have some of their own. */
async function equalTags({ record }: Pick<TransferContext, "record">, { tags }: SourceRun): Promise<number> {
  const ours = await record.trackedReads.run(tags[tieTag] ?? "");
  return Object.entries(ours?.tags ?? {}).filter(([key, value]) => {
    if (key === tieTag) return false;
    return key === "mlflow.parentRunId" ? tags[key] !== undefined : tags[key] === cut(value);
  }).length;
}

/** MLflow's longest tag, in code points. */
const cut = (value: string): string => (value.length <= 8000 ? value : [...value].slice(0, 8000).join(""));

async function addFiles(
  source: TrackedSource,
  owner: Parameters<TrackedSource["files"]>[0],
  add: (name: string, count: number) => void,
): Promise<void> {
  for await (const file of source.files(owner)) {
    add("files", 1);
    add("bytes", file.size ?? 0);
  }
}

/** Ids over there; as many as things were exported. */
async function targets(
  { record, peer }: Pick<TransferContext, "record" | "peer">,
  kind: TransferKind,
): Promise<Set<string>> {
  const found = new Set<string>();
  for (let after = ""; ; ) {
    const items = await record.transfers.items(peer, kind, after, itemsAtOnce);
    for (const { targetId, done } of items) if (done) found.add(targetId);
    if (items.length < itemsAtOnce) return found;
    after = items.at(-1)?.sourceId ?? "";
  }
}
