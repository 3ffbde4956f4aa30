import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteRegistry } from "../../mirror-changes.ts";
import { isPrompt, tellWebhooks } from "./registry-events.ts";

export async function putVersionTag(
  database: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
  version: number,
  key: string,
  value: string,
): Promise<void> {
  await transaction
    .insertInto("model_version_tags")
    .values({ project_id: database.projectId, name, version, key, value })
    .onConflict((conflict) => conflict.columns(["project_id", "name", "version", "key"]).doUpdateSet({ value }))
    .execute();
}

/** Sets, or with undefined removes, tags of a version that is there; an absent one is removed already. */
export async function changeVersionTags(
  database: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
  version: number,
  tags: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const kind = (await isPrompt(database, transaction, name)) ? "prompt_version_tag" : "model_version_tag";
  for (const [key, value] of Object.entries(tags)) {
    const about = { name, version: String(version), key };
    if (value === undefined) {
      await transaction
        .deleteFrom("model_version_tags")
        .where("project_id", "=", database.projectId)
        .where("name", "=", name)
        .where("version", "=", version)
        .where("key", "=", key)
        .execute();
      await tellWebhooks(database, transaction, `${kind}.deleted`, about);
    } else {
      await putVersionTag(database, transaction, name, version, key, value);
      await tellWebhooks(database, transaction, `${kind}.set`, { ...about, value });
    }
  }
  await noteRegistry(database, transaction, { kind: "version", subject: `${name}/${version}` });
}
