import type { RunState, StepState } from "@espalier/core";
import { nextNumber, type RecordDatabase, type RecordTransaction } from "./database.ts";
import type { MetricPoint } from "./queries/metrics.ts";

/**
 * What a mirror of the record has to be told. `run`, `experiment`, `model` and `version` say only that something about the thing is new
 * (made, renamed, ended, deleted): the mirror's driver reads it as it is by then. What grows is told as it was written.
 */
export type TrackingChange =
  | { kind: "experiment"; subject: string }
  | { kind: "run"; subject: string }
  | { kind: "params"; subject: string; params: Readonly<Record<string, string>> }
  /** null: the tag was deleted. */
  | { kind: "tags"; subject: string; tags: Readonly<Record<string, string | null>> }
  | { kind: "metrics"; subject: string; points: readonly MetricPoint[] }
  | { kind: "inputs"; subject: string }
  | { kind: "logged-model"; subject: string }
  /** A file was put: `subject` is the run or logged model, `path` is below its folder. */
  | { kind: "file"; subject: string; owner: "run" | "model"; path: string };

/** `subject` is the model's name; a version's is `name/version`. */
export type RegistryChange =
  | { kind: "model"; subject: string }
  | { kind: "version"; subject: string }
  | { kind: "aliases"; subject: string };

/** A pipeline's run (`subject`), or a step of it, has come to a state. */
export type RunChange =
  | { kind: "run-state"; subject: string; state: RunState }
  | { kind: "step-state"; subject: string; step: string; state: StepState };

/** Names of the mirrors that are told; empty where no stack has one. */
export interface MirrorNames {
  tracking: readonly string[];
  registry: readonly string[];
  /** Of lineage and traces. */
  runs: readonly string[];
}

/** In the transaction of the change itself, so that neither is ever without the other. Costs nothing without mirrors. */
export async function noteTracking(
  database: RecordDatabase,
  transaction: RecordTransaction,
  change: TrackingChange,
): Promise<void> {
  if (database.mirrors.tracking.length > 0) await enqueue(database, transaction, database.mirrors.tracking, change);
}

export async function noteRegistry(
  database: RecordDatabase,
  transaction: RecordTransaction,
  change: RegistryChange,
): Promise<void> {
  if (database.mirrors.registry.length > 0) await enqueue(database, transaction, database.mirrors.registry, change);
}

export async function noteRun(
  database: RecordDatabase,
  transaction: RecordTransaction,
  change: RunChange,
): Promise<void> {
  if (database.mirrors.runs.length > 0) await enqueue(database, transaction, database.mirrors.runs, change);
}

async function enqueue(
  database: RecordDatabase,
  transaction: RecordTransaction,
  mirrors: readonly string[],
  change: TrackingChange | RegistryChange | RunChange,
): Promise<void> {
  const { kind, subject, ...content } = change;
  for (const mirror of mirrors) {
    await transaction
      .insertInto("mirror_outbox")
      .values({
        project_id: database.projectId,
        mirror,
        number: await nextNumber(database, transaction, `mirror:${mirror}`),
        kind,
        subject,
        payload: JSON.stringify(content, storable),
        created_at: database.now,
      })
      .execute();
  }
}

/** JSON has neither 64-bit integers nor NaN: both travel as texts. */
function storable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
