import { type EndpointSpec, EspalierError } from "@espalier/core";
import { sql } from "kysely";
import { like, type RecordDatabase, type RecordTransaction } from "../../database.ts";
import { fromJson } from "../../json.ts";

/** CONFLICT, with the endpoint's name, while one serves the model (or just this version of it). */
export async function refuseServed(
  { projectId }: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
  version: number | undefined,
  doing: "deleted" | "renamed",
): Promise<void> {
  const mention = JSON.stringify(name).replaceAll(/[\\%_]/g, "\\$&");
  const rows = await transaction
    .selectFrom("endpoints")
    .select(["name", "spec"])
    .where("project_id", "=", projectId)
    .where("deleted_at", "is", null)
    .where(like(sql<string>`spec`, `%${mention}%`))
    .execute();
  for (const row of rows) {
    const served = fromJson<EndpointSpec>(row.spec).versions.some(
      (one) => one.model === name && (version === undefined || one.version === String(version)),
    );
    if (!served) continue;
    const what = version === undefined ? `Model ${name}` : `Version ${version} of ${name}`;
    throw new EspalierError("CONFLICT", `${what} can not be ${doing}: the endpoint ${row.name} serves it`, {
      details: { endpoint: row.name, model: name },
      hint: "Deploy another version there first, or delete the endpoint.",
    });
  }
}
