import { randomUUID } from "node:crypto";
import type { Json } from "@espalier/core";
import type { RecordDatabase } from "../database.ts";
import { fromJson } from "../json.ts";

export interface SettingQueries {
  get<Value extends Json>(key: string): Promise<Value | undefined>;
  set(key: string, value: Json): Promise<void>;
  /** Names this database for ever; a store remembers it, so that nobody else sweeps it. */
  databaseId(): Promise<string>;
}

/** Of the whole database: no project's. */
const everyProject = "";

export function createSettingQueries(database: RecordDatabase): SettingQueries {
  const { kysely } = database;
  const read = async (projectId: string, key: string): Promise<string | undefined> => {
    const row = await kysely
      .selectFrom("settings")
      .select("value")
      .where("project_id", "=", projectId)
      .where("key", "=", key)
      .executeTakeFirst();
    return row?.value;
  };
  return {
    get: async <Value extends Json>(key: string) => {
      const text = await read(database.projectId, key);
      return text === undefined ? undefined : fromJson<Value>(text);
    },
    set: async (key, value) => {
      const text = JSON.stringify(value);
      await kysely
        .insertInto("settings")
        .values({ project_id: database.projectId, key, value: text })
        .onConflict((conflict) => conflict.columns(["project_id", "key"]).doUpdateSet({ value: text }))
        .execute();
    },
    databaseId: async () => {
      await kysely
        .insertInto("settings")
        .values({ project_id: everyProject, key: "database.id", value: JSON.stringify(randomUUID()) })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return fromJson<string>((await read(everyProject, "database.id")) ?? "null");
    },
  };
}
