import { EspalierError, type TrackedSource } from "@espalier/core";
import type { ImportOptions } from "./import-mlflow.ts";
import type { TransferContext } from "./transfer-port.ts";

const mostNamed = 20;

/** ALREADY_EXISTS when a name of the source is one of ours with other content. Before anything is written; all of them at once. */
export async function requireNoClash(
  { record, peer }: TransferContext,
  source: TrackedSource,
  { experimentPrefix, modelPrefix }: ImportOptions,
): Promise<void> {
  const clashes: string[] = [];
  for await (const { id, name } of source.experiments()) {
    const there = await record.transferRows.experimentNamed(experimentPrefix + name);
    if (there === undefined || !there.hasRuns) continue;
    const known = await record.transfers.item(peer, "experiment", id);
    if (known?.targetId !== there.id) clashes.push(`the experiment ${experimentPrefix}${name}`);
  }
  for await (const { name } of source.registeredModels()) {
    const versions = await record.transferRegistry.versionsOf(modelPrefix + name);
    if (versions === undefined || versions === 0) continue;
    if ((await record.transfers.item(peer, "registered-model", name)) === undefined) {
      clashes.push(`the registered model ${modelPrefix}${name}`);
    }
  }
  if (clashes.length === 0) return;
  const named = clashes.slice(0, mostNamed).join(", ");
  const more = clashes.length > mostNamed ? `, and ${clashes.length - mostNamed} more` : "";
  throw new EspalierError("ALREADY_EXISTS", `On record already, with other content: ${named}${more}`, {
    hint: "`--experiment-prefix` and `--model-prefix` import them under other names. Nothing was written.",
    details: { clashes: clashes.slice(0, 1000) },
  });
}
