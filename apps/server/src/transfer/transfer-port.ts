import type { Artifacts } from "@espalier/core";
import type { Logger } from "pino";
import type { TransferPeer } from "../db/queries/transfer/transfers.ts";
import type { ProjectRecord } from "../db/record.ts";

/** How far a transfer is; shown while it goes on. */
export interface TransferProgress {
  phase: string;
  experiments: number;
  runs: number;
  /** Runs that an earlier, interrupted try had carried. */
  skipped: number;
  points: number;
  files: number;
  bytes: number;
  versions: number;
}

/** One line of the table at the end. */
export interface CountRow {
  what: string;
  source: number;
  here: number;
  equal: boolean;
}

export interface TransferResult {
  description: string;
  counts: CountRow[];
  /** What the other side can not give or take, whatever is done. */
  losses: string[];
}

/** What a transfer works with. */
export interface TransferContext {
  record: ProjectRecord;
  artifacts: Artifacts;
  /** Folder for files on their way in. */
  spoolDirectory: string;
  peer: TransferPeer;
  /** The transfer's own id. */
  id: string;
  actor: string;
  signal: AbortSignal;
  logger: Logger;
  progress: TransferProgress;
  /** Tells whoever follows; cheap. */
  changed(): void;
}

export const noProgress = (): TransferProgress => ({
  phase: "starting",
  experiments: 0,
  runs: 0,
  skipped: 0,
  points: 0,
  files: 0,
  bytes: 0,
  versions: 0,
});
