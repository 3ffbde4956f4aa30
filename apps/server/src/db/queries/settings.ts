import { randomBytes, randomUUID } from "node:crypto";
import type { Json } from "@espalier/core";
import type { RecordDatabase } from "../database.ts";
import { fromJson } from "../json.ts";

export interface SettingQueries {
  get<Value extends Json>(key: string): Promise<Value | undefined>;
  set(key: string, value: Json): Promise<void>;
  /** Names this database for ever; a store remembers it, so that nobody else sweeps it. */
  databaseId(): Promise<string>;
  /** 32 random bytes of this project, made when they are first asked for, the same on every control plane and after a restart. */
  secret(key: string): Promise<Uint8Array>;
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
    secret: async (key) => {
      const value = JSON.stringify(randomBytes(32).toString("base64"));
      await kysely
        .insertInto("settings")
        .values({ project_id: database.projectId, key, value })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return Buffer.from(fromJson<string>((await read(database.projectId, key)) ?? value), "base64");
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
