import type { RegistryMirror, TrackerMirror } from "@espalier/core";
import type { TransferCounts, TransferKind } from "../db/queries/transfer/transfers.ts";
import type { ArtifactFolders } from "../mlflow/artifacts/folders.ts";
import type { TransferContext } from "./transfer-port.ts";

export interface ExportOptions {
  artifacts: boolean;
  /** Names; all of them when it is left out. */
  experiments?: readonly string[] | undefined;
}

/** The other side: what is written there, and what is found there afterwards. */
export interface ExportTarget {
  tracker: TrackerMirror;
  registry: RegistryMirror;
  folders: ArtifactFolders;
  /** Counts what the ledger says is there, asked of the server itself. */
  count(context: TransferContext): Promise<Record<string, number>>;
  losses: readonly string[];
}

export const idsAtOnce = 500;

export async function put(
  { record, peer }: TransferContext,
  kind: TransferKind,
  sourceId: string,
  targetId: string,
  counts: TransferCounts,
  done: boolean,
): Promise<void> {
  await record.transfers.put(peer, { kind, sourceId, targetId, counts, done });
}

export async function eachPage<Item, Key extends string>(
  page: (after: string) => Promise<Item[]>,
  keyOf: (item: Item) => Key,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  for (let after = ""; ; ) {
    const items = await page(after);
    for (const item of items) await work(item);
    const last = items.at(-1);
    if (last === undefined || items.length < idsAtOnce) return;
    after = keyOf(last);
  }
}
