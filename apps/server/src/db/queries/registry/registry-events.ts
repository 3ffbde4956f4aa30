import { randomUUID } from "node:crypto";
import type { Json } from "@espalier/core";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { promptTag } from "./registry-rows.ts";

/** `<entity>.<action>`, as MLflow names them; those of `prompt` tell of registered models that are prompts. */
export const registryEvents = [
  "registered_model.created",
  "model_version.created",
  "model_version_tag.set",
  "model_version_tag.deleted",
  "model_version_alias.created",
  "model_version_alias.deleted",
  "prompt.created",
  "prompt_version.created",
  "prompt_tag.set",
  "prompt_tag.deleted",
  "prompt_version_tag.set",
  "prompt_version_tag.deleted",
  "prompt_alias.created",
  "prompt_alias.deleted",
] as const;
export type RegistryEvent = (typeof registryEvents)[number];

/** Prefix of the kinds of notices that go to webhooks; their target is the webhook's id. */
export const webhookNoticePrefix = "webhook.";

const mostWebhooks = 1000;

/** Puts the event into the outbox for every webhook that wants it, in the transaction of the change: it is told, or nothing happened. */
export async function tellWebhooks(
  database: RecordDatabase,
  transaction: RecordTransaction,
  event: RegistryEvent,
  data: Readonly<Record<string, Json>>,
): Promise<void> {
  const webhooks = await transaction
    .selectFrom("webhooks")
    .select(["webhook_id", "events"])
    .where("project_id", "=", database.projectId)
    .where("status", "=", "ACTIVE")
    .limit(mostWebhooks)
    .execute();
  for (const { webhook_id, events } of webhooks) {
    if (!(JSON.parse(events) as string[]).includes(event)) continue;
    await transaction
      .insertInto("notices")
      .values({
        project_id: database.projectId,
        notice_id: randomUUID(),
        kind: `${webhookNoticePrefix}${event}`,
        target: webhook_id,
        payload: JSON.stringify(webhookBody(event, data)),
        state: "pending",
        tries: 0,
        due_at: database.now,
        created_at: database.now,
      })
      .execute();
  }
}

/** What a webhook is sent, in MLflow's form. */
export function webhookBody(event: RegistryEvent, data: Readonly<Record<string, Json>>): Record<string, Json> {
  const [entity = "", action = ""] = event.split(".");
  return { entity, action, timestamp: new Date().toISOString(), data };
}

/** What marks a prompt is not told: the event's name says it, and its text is the `template`. */
const promptText = "mlflow.prompt.text";
const promptMarks = [promptTag, promptText, "_mlflow_prompt_type"];

export async function tellCreated(
  database: RecordDatabase,
  transaction: RecordTransaction,
  { name, tags, description }: { name: string; tags: Readonly<Record<string, string>>; description?: string },
): Promise<void> {
  const asPrompt = tags[promptTag]?.toLowerCase() === "true";
  const told = Object.fromEntries(Object.entries(tags).filter(([key]) => !asPrompt || !promptMarks.includes(key)));
  await tellWebhooks(database, transaction, asPrompt ? "prompt.created" : "registered_model.created", {
    name,
    tags: told,
    description: description ?? "",
  });
}

export async function tellVersionCreated(
  database: RecordDatabase,
  transaction: RecordTransaction,
  version: {
    name: string;
    version: number;
    source: string;
    runId?: string | undefined;
    tags: Readonly<Record<string, string>>;
    description?: string | undefined;
  },
): Promise<void> {
  const { name, tags } = version;
  const about = { name, version: String(version.version), description: version.description ?? null };
  if (tags[promptTag]?.toLowerCase() !== "true") {
    const { source, runId } = version;
    const data = { ...about, source, run_id: runId ?? null, tags: { ...tags } };
    return tellWebhooks(database, transaction, "model_version.created", data);
  }
  const told = Object.fromEntries(Object.entries(tags).filter(([key]) => !promptMarks.includes(key)));
  const data = { ...about, template: tags[promptText] ?? null, tags: told };
  return tellWebhooks(database, transaction, "prompt_version.created", data);
}

export async function isPrompt(
  { projectId }: RecordDatabase,
  reader: Pick<RecordTransaction, "selectFrom">,
  name: string,
): Promise<boolean> {
  const row = await reader
    .selectFrom("registered_model_tags")
    .select("value")
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .where("key", "=", promptTag)
    .executeTakeFirst();
  return row?.value.toLowerCase() === "true";
}
