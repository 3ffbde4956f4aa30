import type { TrackedRegisteredModel, TrackedVersion } from "@espalier/core";
import type { RecordDatabase } from "../../database.ts";
import { noteRegistry } from "../../mirror-changes.ts";
import { insertAll } from "./import-rows.ts";

export interface ImportedVersion extends TrackedVersion {
  /** Path of our artifact proxy that holds its content; absent where nobody could carry it. */
  location?: string;
}

export interface ImportRegistry {
  /** How many versions a model of this name has here; undefined: there is none. */
  versionsOf(name: string): Promise<number | undefined>;
  /** Description and tags; aliases are set once the versions are there. */
  putRegisteredModel(model: TrackedRegisteredModel): Promise<void>;
  /** The version keeps its number. */
  putVersion(version: ImportedVersion): Promise<void>;
  putAliases(name: string, aliases: Readonly<Record<string, number>>, by: string): Promise<void>;
}

export function createImportRegistry(database: RecordDatabase): ImportRegistry {
  const { kysely, projectId, now } = database;
  const project = { project_id: projectId };
  return {
    versionsOf: async (name) => {
      const model = await kysely
        .selectFrom("registered_models")
        .select("name")
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .executeTakeFirst();
      if (model === undefined) return undefined;
      const { versions } = await kysely
        .selectFrom("model_versions")
        .select((columns) => columns.fn.countAll<number>().as("versions"))
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .executeTakeFirstOrThrow();
      return Number(versions);
    },
    putRegisteredModel: ({ name, description, tags, createdAt, updatedAt }) =>
      database.transaction(async (transaction) => {
        const values = { description: description ?? null, creation_time: createdAt, last_updated_time: updatedAt };
        await transaction
          .insertInto("registered_models")
          .values({ ...project, name, ...values })
          .onConflict((conflict) => conflict.columns(["project_id", "name"]).doUpdateSet(values))
          .execute();
        await insertAll(Object.entries(tags), async (some) => {
          await transaction
            .insertInto("registered_model_tags")
            .values(some.map(([key, value]) => ({ ...project, name, key, value })))
            .onConflict((conflict) =>
              conflict
                .columns(["project_id", "name", "key"])
                .doUpdateSet((columns) => ({ value: columns.ref("excluded.value") })),
            )
            .execute();
        });
        await noteRegistry(database, transaction, { kind: "model", subject: name });
      }),
    putVersion: (version) =>
      database.transaction(async (transaction) => {
        const { name } = version;
        const values = {
          source: version.source,
          location: version.location ?? null,
          run_id: version.runId ?? null,
          run_link: version.runLink ?? null,
          model_id: version.modelId ?? null,
          status: version.status,
          status_message: version.statusMessage ?? null,
          stage: version.stage,
          description: version.description ?? null,
          user_id: version.user,
          creation_time: version.createdAt,
          last_updated_time: version.updatedAt,
        };
        await transaction
          .insertInto("model_versions")
          // No digest: the content is gathered when somebody deploys it.
          .values({ ...project, name, version: version.version, digest: "", verdict_id: "", idempotent: 0, ...values })
          .onConflict((conflict) => conflict.columns(["project_id", "name", "version"]).doUpdateSet(values))
          .execute();
        await insertAll(Object.entries(version.tags), async (some) => {
          await transaction
            .insertInto("model_version_tags")
            .values(some.map(([key, value]) => ({ ...project, name, version: version.version, key, value })))
            .onConflict((conflict) =>
              conflict
                .columns(["project_id", "name", "version", "key"])
                .doUpdateSet((columns) => ({ value: columns.ref("excluded.value") })),
            )
            .execute();
        });
        await noteRegistry(database, transaction, { kind: "version", subject: `${name}/${version.version}` });
      }),
    putAliases: (name, aliases, by) =>
      database.transaction(async (transaction) => {
        let { number } = await transaction
          .selectFrom("alias_history")
          .select((columns) => columns.fn.coalesce(columns.fn.max("number"), columns.lit(0)).as("number"))
          .where("project_id", "=", projectId)
          .where("name", "=", name)
          .executeTakeFirstOrThrow();
        for (const [alias, version] of Object.entries(aliases)) {
          const held = await transaction
            .selectFrom("aliases")
            .select("version")
            .where("project_id", "=", projectId)
            .where("name", "=", name)
            .where("alias", "=", alias)
            .executeTakeFirst();
          if (held?.version === version) continue;
          await transaction
            .insertInto("aliases")
            .values({ ...project, name, alias, version, updated_at: now })
            .onConflict((conflict) =>
              conflict.columns(["project_id", "name", "alias"]).doUpdateSet({ version, updated_at: now }),
            )
            .execute();
          number += 1;
          await transaction
            .insertInto("alias_history")
            .values({
              ...project,
              name,
              number,
              alias,
              from_version: held?.version ?? null,
              to_version: version,
              changed_by: by,
              reason: "imported",
              changed_at: now,
            })
            .execute();
        }
        await noteRegistry(database, transaction, { kind: "aliases", subject: name });
      }),
  };
}
