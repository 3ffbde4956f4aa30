import { randomUUID } from "node:crypto";
import { EspalierError } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { fromJson, present } from "../../json.ts";
import { keyset, type Page, type PageRequest } from "../../page.ts";
import type { WebhooksTable } from "../../schema/registry.ts";
import type { RegistryEvent } from "./registry-events.ts";

export type WebhookStatus = "ACTIVE" | "DISABLED";

export interface WebhookChange {
  name?: string;
  url?: string;
  /** Empty removes it. */
  description?: string;
  events?: readonly RegistryEvent[];
  status?: WebhookStatus;
  /** Name in the secret store; the secret itself is never on record. */
  secretName?: string;
}

export interface WebhookRow {
  id: string;
  name: string;
  url: string;
  description?: string;
  events: RegistryEvent[];
  status: WebhookStatus;
  secretName?: string;
  createdAt: number;
  updatedAt: number;
}

export interface WebhookQueries {
  create(
    webhook: WebhookChange & { id?: string; name: string; url: string; events: readonly RegistryEvent[] },
  ): Promise<WebhookRow>;
  get(id: string): Promise<WebhookRow | undefined>;
  /** Newest first. */
  list(page: PageRequest): Promise<Page<WebhookRow>>;
  /** What is left out stays. NOT_FOUND. */
  update(id: string, change: WebhookChange): Promise<WebhookRow>;
  /** The row as it was. NOT_FOUND. */
  delete(id: string): Promise<WebhookRow>;
}

export function createWebhookQueries(database: RecordDatabase): WebhookQueries {
  const { kysely, projectId } = database;
  const found = (id: string, row: Selectable<WebhooksTable> | undefined): WebhookRow => {
    if (row === undefined) throw new EspalierError("NOT_FOUND", `Webhook with ID ${id} not found.`);
    return rowOf(row);
  };
  return {
    create: async ({ id = randomUUID(), name, url, description, events, status, secretName }) =>
      rowOf(
        await kysely
          .insertInto("webhooks")
          .values({
            project_id: projectId,
            webhook_id: id,
            name,
            url,
            description: description ?? null,
            events: eventsText(events),
            status: status ?? "ACTIVE",
            secret_name: secretName ?? null,
            creation_time: database.now,
            last_updated_time: database.now,
          })
          .returningAll()
          .executeTakeFirstOrThrow(),
      ),
    get: async (id) => {
      const row = await kysely
        .selectFrom("webhooks")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("webhook_id", "=", id)
        .executeTakeFirst();
      return row === undefined ? undefined : rowOf(row);
    },
    list: async (request) => {
      const keys = keyset(request, "descending", { creation_time: "integer", webhook_id: "text" });
      const rows = await kysely
        .selectFrom("webhooks")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("creation_time", "desc")
        .orderBy("webhook_id", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.creation_time, row.webhook_id], rowOf);
    },
    update: async (id, { name, url, description, events, status, secretName }) =>
      found(
        id,
        await kysely
          .updateTable("webhooks")
          .set({
            ...(name === undefined ? {} : { name }),
            ...(url === undefined ? {} : { url }),
            ...(description === undefined ? {} : { description: description === "" ? null : description }),
            ...(events === undefined ? {} : { events: eventsText(events) }),
            ...(status === undefined ? {} : { status }),
            ...(secretName === undefined ? {} : { secret_name: secretName }),
            last_updated_time: database.now,
          })
          .where("project_id", "=", projectId)
          .where("webhook_id", "=", id)
          .returningAll()
          .executeTakeFirst(),
      ),
    delete: async (id) =>
      found(
        id,
        await kysely
          .deleteFrom("webhooks")
          .where("project_id", "=", projectId)
          .where("webhook_id", "=", id)
          .returningAll()
          .executeTakeFirst(),
      ),
  };
}

const eventsText = (events: readonly RegistryEvent[]): string => JSON.stringify([...new Set(events)].sort());

function rowOf(row: Selectable<WebhooksTable>): WebhookRow {
  return {
    id: row.webhook_id,
    name: row.name,
    url: row.url,
    ...present("description", row.description),
    events: fromJson<RegistryEvent[]>(row.events),
    status: row.status as WebhookStatus,
    ...present("secretName", row.secret_name),
    createdAt: row.creation_time,
    updatedAt: row.last_updated_time,
  };
}
