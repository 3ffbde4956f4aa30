import type { TrackedSource, TrackedVersion } from "@espalier/core";
import type { ImportOptions } from "./import-mlflow.ts";
import type { TransferContext } from "./transfer-port.ts";

/** Registered models with their versions, then the aliases, which need the versions. Versions keep their numbers. */
export async function importRegistry(
  context: TransferContext,
  source: TrackedSource,
  { modelPrefix }: ImportOptions,
): Promise<void> {
  const { record, peer, progress, changed, signal } = context;
  for await (const model of source.registeredModels()) {
    progress.phase = `model ${model.name}`;
    const known = await record.transfers.item(peer, "registered-model", model.name);
    if (known?.done) continue;
    const name = modelPrefix + model.name;
    await record.transferRegistry.putRegisteredModel({ ...model, name });
    const aliases = Object.keys(model.aliases).length;
    const item = {
      kind: "registered-model" as const,
      sourceId: model.name,
      targetId: name,
      counts: { registeredModels: 1, aliases },
    };
    if (known === undefined) await record.transfers.put(peer, { ...item, done: false });
    for await (const version of source.versions(model.name)) {
      signal.throwIfAborted();
      const location = await locationOf(context, version);
      const versionSource = location === undefined ? version.source : `mlflow-artifacts:/${location}`;
      await record.transferRegistry.putVersion({
        ...version,
        name,
        source: versionSource,
        ...(location === undefined ? {} : { location }),
      });
      await record.transfers.put(peer, {
        kind: "version",
        sourceId: `${model.name}/${version.version}`,
        targetId: `${name}/${version.version}`,
        counts: { versions: 1 },
        done: true,
      });
      progress.versions += 1;
      changed();
    }
    await record.transferRegistry.putAliases(name, model.aliases, context.actor);
    await record.transfers.put(peer, { ...item, done: true });
  }
}

/** Where the version's content lies here: with its logged model, or in its run's folder. undefined: it was never in one of them. */
async function locationOf({ record, peer }: TransferContext, version: TrackedVersion): Promise<string | undefined> {
  const named = /^models:\/(m-[\w-]+)/.exec(version.source)?.[1];
  const modelId = version.modelId ?? named;
  if (modelId !== undefined) {
    const model = await record.transfers.item(peer, "model", modelId);
    if (model?.root !== undefined) return below(model.root, model.sourceRoot, version.source) ?? model.root;
  }
  const inRun = /^runs:\/([^/]+)\/?(.*)$/.exec(version.source);
  const runId = inRun?.[1] ?? version.runId;
  if (runId === undefined) return undefined;
  const run = await record.transfers.item(peer, "run", runId);
  if (run?.root === undefined) return undefined;
  if (inRun !== null) return inRun[2] === "" ? run.root : `${run.root}/${inRun[2]}`;
  return below(run.root, run.sourceRoot, version.source);
}

function below(root: string, sourceRoot: string | undefined, source: string): string | undefined {
  if (sourceRoot === undefined || sourceRoot === "") return undefined;
  const [folder, whole] = [sourceRoot, source].map((uri) => uri.replace(/^file:\/\//, "").replace(/\/+$/, ""));
  if (folder === undefined || whole === undefined) return undefined;
  if (whole === folder) return root;
  return whole.startsWith(`${folder}/`) && !whole.includes("..") ? `${root}${whole.slice(folder.length)}` : undefined;
}
