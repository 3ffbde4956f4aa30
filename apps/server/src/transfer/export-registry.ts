import type { VersionContent } from "@espalier/core";
import type { HeldVersion } from "../db/queries/transfer/read-tracked.ts";
import { type ExportOptions, type ExportTarget, eachPage, put } from "./export-target.ts";
import { contentPath, filesBelow, proxyPathOf } from "./record-files.ts";
import type { TransferContext } from "./transfer-port.ts";

const versionsAtOnce = 500;

/** Registered models, their versions in order of number, then the aliases. */
export async function exportRegistry(
  context: TransferContext,
  target: ExportTarget,
  options: ExportOptions,
): Promise<void> {
  const { record, peer, progress, changed, signal } = context;
  // A choice of experiments is no choice of models: these come with all of them.
  if (options.experiments !== undefined) return;
  await eachPage(
    (after) => record.trackedReads.registeredNames(after, versionsAtOnce),
    (name) => name,
    async (name) => {
      progress.phase = `model ${name}`;
      const model = await record.trackedReads.registeredModel(name);
      if (model === undefined) return;
      await target.registry.putModel(model, { signal });
      const remote = new Map<number, string>();
      for (let after = 0; ; ) {
        const numbers = await record.trackedReads.versionNumbers(name, after, versionsAtOnce);
        for (const number of numbers) {
          signal.throwIfAborted();
          const id = `${name}/${number}`;
          const known = await record.transfers.item(peer, "version", id);
          const held = await record.trackedReads.version(name, number);
          if (held === undefined) continue;
          const there = await target.registry.putVersion(
            held,
            () => contentOf(context, target, held, options),
            known?.targetId.slice(name.length + 1),
            { signal },
          );
          remote.set(number, there);
          await put(context, "version", id, `${name}/${there}`, { versions: 1 }, true);
          progress.versions += 1;
          changed();
        }
        if (numbers.length < versionsAtOnce) break;
        after = numbers.at(-1) ?? 0;
      }
      const aliases = Object.entries(model.aliases).flatMap(([alias, version]) => {
        const there = remote.get(version);
        return there === undefined ? [] : [[alias, there] as const];
      });
      await target.registry.setAliases(name, Object.fromEntries(aliases), { signal });
      const counts = { registeredModels: 1, aliases: Object.keys(model.aliases).length };
      await put(context, "registered-model", name, name, counts, true);
    },
  );
}

/** Over there already, with its logged model or in its run's folder; else its files are carried. */
async function contentOf(
  { record, peer }: TransferContext,
  { folders }: ExportTarget,
  version: HeldVersion,
  options: ExportOptions,
): Promise<VersionContent> {
  const path = version.location ?? proxyPathOf(version.source);
  const [, second, third] = path?.split("/") ?? [];
  if (options.artifacts && path !== undefined) {
    if (second === "models" && third !== undefined) {
      const model = await record.transfers.item(peer, "model", third);
      if (model?.targetId)
        return { home: { kind: "model", id: model.targetId }, path: path.split("/").slice(4).join("/") };
    } else if (second !== undefined) {
      const run = await record.transfers.item(peer, "run", second);
      if (run?.targetId) return { home: { kind: "run", id: run.targetId }, path: path.split("/").slice(3).join("/") };
    }
  }
  const content = contentPath(version);
  return { files: content === undefined || !options.artifacts ? [] : filesBelow(folders, content) };
}
