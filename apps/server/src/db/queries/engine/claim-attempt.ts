import type { RecordDatabase } from "../../database.ts";

/** A tag of the attempt's run, so that people see it too. Its key in the table makes one of any number of claimants the first. */
const claimTag = "espalier.claimed_by";

export async function claimAttempt(database: RecordDatabase, attemptId: string, claimant: string): Promise<boolean> {
  const place = { project_id: database.projectId, run_id: attemptId, key: claimTag };
  await database.transaction(async (transaction) => {
    await transaction
      .insertInto("tags")
      .values({ ...place, value: claimant })
      .onConflict((conflict) => conflict.columns(["project_id", "run_id", "key"]).doNothing())
      .execute();
  });
  // After the commit: inside, another's claim that came first might not be seen yet.
  const { value } = await database.kysely
    .selectFrom("tags")
    .select("value")
    .where("project_id", "=", place.project_id)
    .where("run_id", "=", place.run_id)
    .where("key", "=", place.key)
    .executeTakeFirstOrThrow();
  return value === claimant;
}
