import { EspalierError } from "@espalier/core";
import { type Insertable, type Selectable, sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import type { ModelVersionsTable } from "../../schema/registry.ts";

/** What the two faces of the registry say of a new version; number, state and times are the record's. */
type NewVersionValues = Omit<
  Insertable<ModelVersionsTable>,
  "project_id" | "version" | "status" | "stage" | "creation_time" | "last_updated_time"
>;

/** The model's next number. The caller holds the model's row, so that two registrations take turns. */
export function insertVersion(
  database: RecordDatabase,
  transaction: RecordTransaction,
  values: NewVersionValues,
): Promise<Selectable<ModelVersionsTable>> {
  const { projectId } = database;
  return transaction
    .insertInto("model_versions")
    .values({
      ...values,
      project_id: projectId,
      version: sql<number>`(SELECT coalesce(max(version), 0) + 1 FROM model_versions
        WHERE project_id = ${projectId} AND name = ${values.name})`,
      status: "READY",
      stage: "None",
      creation_time: database.now,
      last_updated_time: database.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow(() => new EspalierError("INTERNAL", `No version of ${values.name} was made`));
}
