import type { TrialValues } from "@espalier/core";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";

const prefix = "espalier.trial.";

/** From its beginning a trial's run says which trial it is, and of what values. */
export function trialTags(branch: number, values: TrialValues): Record<string, string> {
  const texts = Object.entries(values).map(([name, value]) => [
    `${prefix}${name}`,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return { "espalier.trial": String(branch), ...Object.fromEntries(texts) };
}

/**
 * MLflow's clients compare runs by their parameters. Written at the end, and only those that the script has not logged itself: a parameter
 * can not be changed, and the script's own call would fail where it prints a number another way.
 */
export async function logTrialParams(
  database: RecordDatabase,
  transaction: RecordTransaction,
  attemptId: string,
): Promise<void> {
  const tags = await transaction
    .selectFrom("tags")
    .select(["key", "value"])
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", attemptId)
    .where("key", ">", prefix)
    .where("key", "<", `${prefix}\u{7f}`)
    .execute();
  if (tags.length === 0) return;
  const made = await transaction
    .insertInto("params")
    .values(
      tags.map(({ key, value }) => ({
        project_id: database.projectId,
        run_id: attemptId,
        key: key.slice(prefix.length),
        value,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .returning(["key", "value"])
    .execute();
  if (made.length === 0) return;
  const params = Object.fromEntries(made.map(({ key, value }) => [key, value]));
  await noteTracking(database, transaction, { kind: "params", subject: attemptId, params });
}

export async function tagAttempt(
  database: RecordDatabase,
  transaction: RecordTransaction,
  attemptId: string,
  key: string,
  value: string,
): Promise<void> {
  await transaction
    .insertInto("tags")
    .values({ project_id: database.projectId, run_id: attemptId, key, value })
    .onConflict((conflict) => conflict.columns(["project_id", "run_id", "key"]).doUpdateSet({ value }))
    .execute();
  await noteTracking(database, transaction, { kind: "tags", subject: attemptId, tags: { [key]: value } });
}
