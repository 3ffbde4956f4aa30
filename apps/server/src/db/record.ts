import type { EngineRecord } from "@espalier/core";
import { openDatabase, type RecordLocation } from "./database.ts";
import type { SqliteOptions } from "./dialect/sqlite-dialect.ts";
import { createEngineRecord } from "./queries/engine/engine-record.ts";
import { dropLeases } from "./queries/engine/leases.ts";
import { ensureDefaultExperiment } from "./queries/experiments.ts";
import { createRunListeners, type RunListeners } from "./run-listeners.ts";

export interface RecordOptions extends SqliteOptions {
  /**
   * This process holds the project's owner lock, so every other owner is dead: leases that a killed one left are dropped at once.
   * Without it they run out by themselves.
   */
  soleOwner?: boolean;
}

/** The metadata of one project. */
export interface ProjectRecord {
  kind: "sqlite" | "postgres";
  engine: EngineRecord & Required<Pick<EngineRecord, "applyAll">>;
  /** Tells of changes that this process made; those of others are found by reading events from a number on. */
  listeners: RunListeners;
  close(): Promise<void>;
}

/** Opens the record and brings it to the newest version. Errors: SCHEMA_TOO_NEW, UNAVAILABLE, PERMISSION_DENIED, CORRUPTED. */
export async function openRecord(
  location: RecordLocation,
  projectId: string,
  options: RecordOptions = {},
): Promise<ProjectRecord> {
  const database = await openDatabase(location, projectId, options);
  await ensureDefaultExperiment(database);
  if (options.soleOwner === true && database.kind === "sqlite") await dropLeases(database);
  const listeners = createRunListeners();
  return {
    kind: database.kind,
    engine: createEngineRecord(database, listeners.changed),
    listeners,
    close: () => database.kysely.destroy(),
  };
}
