import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ArtifactType, type JsonObject, stepVariables } from "@espalier/core";
import { openDuckDb, type Row } from "../duckdb-client.ts";

export interface StepFolder {
  root: string;
  input(name: string): string;
  output(name: string): string;
  events: string;
  checkpoint: string;
  environment(options?: {
    with?: JsonObject;
    params?: JsonObject;
    outputs?: readonly string[];
    types?: Readonly<Record<string, ArtifactType>>;
    /** true: the step finds a folder that outlives attempts. */
    keepsCheckpoint?: boolean;
  }): Record<string, string>;
  remove(): Promise<void>;
}

/** A folder laid out as a runner lays it out for one attempt. */
export async function makeStepFolder(): Promise<StepFolder> {
  const root = await mkdtemp(join(tmpdir(), "espalier-step-"));
  await mkdir(join(root, "inputs"));
  const events = join(root, "events.jsonl");
  await writeFile(events, "");
  return {
    root,
    input: (name) => join(root, "inputs", name),
    output: (name) => join(root, "outputs", name),
    events,
    checkpoint: join(root, "checkpoint"),
    environment: (options = {}) => ({
      [stepVariables.inputs]: join(root, "inputs"),
      [stepVariables.outputs]: join(root, "outputs"),
      [stepVariables.events]: events,
      [stepVariables.params]: JSON.stringify(options.params ?? {}),
      [stepVariables.with]: JSON.stringify(options.with ?? {}),
      ...(options.outputs === undefined ? {} : { [stepVariables.outputNames]: JSON.stringify(options.outputs) }),
      ...(options.keepsCheckpoint === true ? { [stepVariables.checkpoint]: join(root, "checkpoint") } : {}),
      ...(options.types === undefined ? {} : { [stepVariables.outputTypes]: JSON.stringify(options.types) }),
    }),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

/** Rows of a query that may read files. */
export async function query(sql: string): Promise<Row[]> {
  const database = await openDuckDb({ threads: 1 });
  try {
    return await database.rows(sql);
  } finally {
    await database.close();
  }
}

export async function makeTable(path: string, sql: string): Promise<void> {
  const database = await openDuckDb({ threads: 1 });
  try {
    await database.run(`COPY (${sql}) TO '${path}' (FORMAT parquet)`);
  } finally {
    await database.close();
  }
}
