import type { TransferKind } from "../db/queries/transfer/transfers.ts";
import type { CountRow, TransferContext } from "./transfer-port.ts";

const kinds: readonly TransferKind[] = ["experiment", "run", "model", "registered-model", "version"];
const itemsAtOnce = 1000;

/** Words of the table, in its order. */
const words: Readonly<Record<string, string>> = {
  experiments: "experiments",
  runs: "runs",
  params: "params",
  tags: "tags",
  metrics: "metrics",
  points: "metric points",
  inputs: "inputs",
  loggedModels: "logged models",
  registeredModels: "registered models",
  versions: "model versions",
  aliases: "aliases",
  files: "files",
  bytes: "bytes of files",
};

/** What the source told, summed over the ledger, beside what is found on the other side. */
export async function countRows(
  { record, peer }: Pick<TransferContext, "record" | "peer">,
  found: Readonly<Record<string, number>>,
): Promise<CountRow[]> {
  const told: Record<string, number> = {};
  for (const kind of kinds) {
    for (let after = ""; ; ) {
      const items = await record.transfers.items(peer, kind, after, itemsAtOnce);
      for (const { counts, done } of items) {
        if (!done) continue;
        for (const [name, count] of Object.entries(counts)) told[name] = (told[name] ?? 0) + count;
      }
      if (items.length < itemsAtOnce) break;
      after = items.at(-1)?.sourceId ?? "";
    }
  }
  const rows = Object.entries(words).map(([name, what]): CountRow => {
    const [source, here] = [told[name] ?? 0, found[name] ?? 0];
    return { what, source, here, equal: source === here };
  });
  for (const [name, what] of [
    ["unreachable", "runs and models whose files are out of reach"],
    ["refused", "things that the other side refused"],
  ] as const) {
    const count = told[name] ?? 0;
    if (count > 0) rows.push({ what, source: count, here: 0, equal: false });
  }
  return rows;
}
