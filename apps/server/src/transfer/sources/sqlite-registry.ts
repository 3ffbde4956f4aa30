import type { TrackedRegisteredModel, TrackedTags, TrackedVersion } from "@espalier/core";
import { inWorkspace, optional, type SqlStore, text } from "./sqlite-values.ts";

export function readSqlRegistry(store: SqlStore): {
  models(): AsyncGenerator<TrackedRegisteredModel>;
  versions(name: string): AsyncGenerator<TrackedVersion>;
} {
  const pairs = (table: string, where: string, ...values: (string | number)[]): TrackedTags =>
    store.has(table)
      ? Object.fromEntries(
          store
            .all(`SELECT key, value FROM ${table} WHERE ${where} AND ${inWorkspace(store, table)}`, ...values)
            .map((row) => [text(row["key"]), text(row["value"])]),
        )
      : {};

  return {
    async *models() {
      if (!store.has("registered_models")) return;
      const rows = store.all(
        `SELECT * FROM registered_models WHERE ${inWorkspace(store, "registered_models")} ORDER BY name`,
      );
      for (const row of rows) {
        const name = text(row["name"]);
        const aliases = store.has("registered_model_aliases")
          ? store.all(
              `SELECT alias, version FROM registered_model_aliases WHERE name = ? AND ${inWorkspace(store, "registered_model_aliases")}`,
              name,
            )
          : [];
        yield {
          name,
          ...optional("description", row["description"]),
          tags: pairs("registered_model_tags", "name = ?", name),
          aliases: Object.fromEntries(aliases.map((one) => [text(one["alias"]), Number(one["version"])])),
          createdAt: Number(row["creation_time"] ?? 0),
          updatedAt: Number(row["last_updated_time"] ?? 0),
        };
      }
    },
    async *versions(name) {
      const rows = store.all(
        `SELECT * FROM model_versions WHERE name = ? AND current_stage <> 'Deleted_Internal'
          AND ${inWorkspace(store, "model_versions")} ORDER BY version`,
        name,
      );
      for (const row of rows) {
        const version = Number(row["version"]);
        const modelId = /^models:\/(m-[\w-]+)/.exec(text(row["source"]))?.[1];
        yield {
          name,
          version,
          source: text(row["storage_location"]) || text(row["source"]),
          ...optional("runId", row["run_id"]),
          ...(modelId === undefined ? {} : { modelId }),
          ...optional("runLink", row["run_link"]),
          stage: text(row["current_stage"]) || "None",
          status: text(row["status"]) || "READY",
          ...optional("statusMessage", row["status_message"]),
          ...optional("description", row["description"]),
          user: text(row["user_id"]),
          tags: pairs("model_version_tags", "name = ? AND version = ?", name, version),
          createdAt: Number(row["creation_time"] ?? 0),
          updatedAt: Number(row["last_updated_time"] ?? 0),
        };
      }
    },
  };
}
