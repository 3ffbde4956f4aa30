import { type EndpointSpec, type EndpointStatus, EspalierError } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present, presentJson } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { EndpointsTable } from "../schema/registry.ts";

export interface EndpointRow {
  name: string;
  generation: number;
  spec: EndpointSpec;
  /** What the deployer last said. */
  status?: EndpointStatus;
  createdAt: number;
  updatedAt: number;
  deletedAt?: number;
}

export interface EndpointGeneration {
  generation: number;
  spec: EndpointSpec;
  reason: string;
  changedBy: string;
  runId?: string;
  createdAt: number;
}

export interface EndpointChange {
  /** Its `generation` is ignored: the record counts. */
  spec: EndpointSpec;
  /** The generation that the caller changes; 0 for a new endpoint. CONFLICT when it has moved on. */
  expectedGeneration: number;
  reason: string;
  changedBy: string;
  runId?: string;
}

export interface EndpointQueries {
  get(name: string): Promise<EndpointRow | undefined>;
  /** By name, without deleted ones. */
  list(page: PageRequest): Promise<Page<EndpointRow>>;
  /** A new generation; every one is kept. */
  save(change: EndpointChange): Promise<EndpointRow>;
  /** Ignored when it is of an older generation than the endpoint's. */
  saveStatus(status: EndpointStatus): Promise<void>;
  /** Its history stays and ends with who deleted it and why; generations go on where they were when it comes back. NOT_FOUND. */
  delete(name: string, change: { reason: string; changedBy: string }): Promise<void>;
  /** Newest first. */
  history(name: string, page: PageRequest): Promise<Page<EndpointGeneration>>;
}

export function createEndpointQueries(database: RecordDatabase): EndpointQueries {
  const { kysely, projectId } = database;
  return {
    get: async (name) => {
      const row = await kysely
        .selectFrom("endpoints")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .executeTakeFirst();
      return row === undefined ? undefined : toRow(row);
    },
    list: async (request) => {
      const keys = keyset(request, "ascending", { name: "text" });
      const rows = await kysely
        .selectFrom("endpoints")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("deleted_at", "is", null)
        .where(keys.after)
        .orderBy("name")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.name], toRow);
    },
    save: (change) => saveEndpoint(database, change),
    saveStatus: async (status) => {
      await kysely
        .updateTable("endpoints")
        .set({ status: JSON.stringify(status) })
        .where("project_id", "=", projectId)
        .where("name", "=", status.name)
        .where("generation", "<=", status.generation)
        .execute();
    },
    delete: (name, change) => deleteEndpoint(database, name, change),
    history: async (name, request) => {
      const keys = keyset(request, "descending", { generation: "integer" });
      const rows = await kysely
        .selectFrom("endpoint_generations")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .where(keys.after)
        .orderBy("generation", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(
        rows,
        (row) => [row.generation],
        (row) => ({
          generation: row.generation,
          spec: fromJson(row.spec),
          reason: row.reason,
          changedBy: row.changed_by,
          ...present("runId", row.run_id),
          createdAt: row.created_at,
        }),
      );
    },
  };
}

async function saveEndpoint(database: RecordDatabase, change: EndpointChange): Promise<EndpointRow> {
  const { projectId } = database;
  const { name } = change.spec;
  const generation = change.expectedGeneration + 1;
  const spec = JSON.stringify({ ...change.spec, generation });
  return database.transaction(async (transaction) => {
    const saved =
      change.expectedGeneration === 0
        ? await transaction
            .insertInto("endpoints")
            .values({
              project_id: projectId,
              name,
              generation,
              spec,
              created_at: database.now,
              updated_at: database.now,
            })
            .onConflict((conflict) => conflict.doNothing())
            .returningAll()
            .executeTakeFirst()
        : await transaction
            .updateTable("endpoints")
            .set({ generation, spec, updated_at: database.now, deleted_at: null })
            .where("project_id", "=", projectId)
            .where("name", "=", name)
            .where("generation", "=", change.expectedGeneration)
            .returningAll()
            .executeTakeFirst();
    if (saved === undefined) {
      throw new EspalierError(
        "CONFLICT",
        `Endpoint ${name} has moved on from generation ${change.expectedGeneration}`,
        {
          hint: "Look at it again and repeat the change.",
        },
      );
    }
    await transaction
      .insertInto("endpoint_generations")
      .values({
        project_id: projectId,
        name,
        generation,
        spec,
        reason: change.reason,
        changed_by: change.changedBy,
        run_id: change.runId ?? null,
        created_at: database.now,
      })
      .execute();
    return toRow(saved);
  });
}

/** The deletion is a generation of its own, without versions: history says who stopped the endpoint, when and why. */
async function deleteEndpoint(
  { projectId, transaction, now }: RecordDatabase,
  name: string,
  { reason, changedBy }: { reason: string; changedBy: string },
): Promise<void> {
  await transaction(async (within) => {
    const row = await within
      .updateTable("endpoints")
      .set((columns) => ({
        deleted_at: now,
        updated_at: now,
        status: null,
        generation: columns("generation", "+", 1),
      }))
      .where("project_id", "=", projectId)
      .where("name", "=", name)
      .where("deleted_at", "is", null)
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw new EspalierError("NOT_FOUND", `There is no endpoint ${name}`);
    await within
      .insertInto("endpoint_generations")
      .values({
        project_id: projectId,
        name,
        generation: row.generation,
        spec: JSON.stringify({ ...fromJson<EndpointSpec>(row.spec), versions: [], generation: row.generation }),
        reason,
        changed_by: changedBy,
        run_id: null,
        created_at: now,
      })
      .execute();
  });
}

function toRow(row: Selectable<EndpointsTable>): EndpointRow {
  return {
    name: row.name,
    generation: row.generation,
    spec: fromJson(row.spec),
    ...presentJson<"status", EndpointStatus>("status", row.status),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...present("deletedAt", row.deleted_at),
  };
}
