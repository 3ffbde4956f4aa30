import { sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import type { MirrorNames, RegistryChange, TrackingChange } from "../mirror-changes.ts";

export interface OutboxRow {
  number: number;
  change: TrackingChange | RegistryChange;
}

export interface MirrorStatusRow {
  mirror: string;
  pending: number;
  delivered: number;
  deliveredAt?: number;
  tries: number;
  lastError?: string;
  dueAt?: number;
}

/** The outbox, mirror by mirror: each change is told in order and at least once. */
export interface MirrorQueries {
  /** Who is told from now on. */
  tell(names: MirrorNames): void;
  /** The next changes, when the mirror is due; [] otherwise. `dueNow` looks past a wait. */
  next(mirror: string, limit: number, dueNow?: boolean): Promise<OutboxRow[]>;
  /** Forgets changes up to a number. */
  delivered(mirror: string, number: number): Promise<void>;
  failed(mirror: string, error: string, retryInSeconds: number): Promise<void>;
  /** What a thing of ours is called over there. */
  nameOf(mirror: string, kind: string, localId: string): Promise<string | undefined>;
  putName(mirror: string, kind: string, localId: string, remoteId: string): Promise<void>;
  dropName(mirror: string, kind: string, localId: string): Promise<void>;
  status(mirror: string): Promise<MirrorStatusRow>;
}

export function createMirrorQueries(database: RecordDatabase): MirrorQueries {
  const { kysely, projectId } = database;
  return {
    tell: (names) => {
      database.mirrors = names;
    },
    next: async (mirror, limit, dueNow = false) => {
      const wait = await kysely
        .selectFrom("mirror_status")
        .select(sql<number>`CASE WHEN due_at > ${database.now} THEN 1 ELSE 0 END`.as("waits"))
        .where("project_id", "=", projectId)
        .where("mirror", "=", mirror)
        .executeTakeFirst();
      if (wait?.waits === 1 && !dueNow) return [];
      const rows = await kysely
        .selectFrom("mirror_outbox")
        .select(["number", "kind", "subject", "payload"])
        .where("project_id", "=", projectId)
        .where("mirror", "=", mirror)
        .orderBy("number")
        .limit(limit)
        .execute();
      return rows.map(({ number, kind, subject, payload }) => ({ number, change: changeOf(kind, subject, payload) }));
    },
    delivered: (mirror, number) =>
      database.transaction(async (transaction) => {
        await transaction
          .deleteFrom("mirror_outbox")
          .where("project_id", "=", projectId)
          .where("mirror", "=", mirror)
          .where("number", "<=", number)
          .execute();
        const values = { delivered: number, delivered_at: database.now, tries: 0, last_error: null, due_at: 0 };
        await transaction
          .insertInto("mirror_status")
          .values({ project_id: projectId, mirror, ...values })
          .onConflict((conflict) => conflict.columns(["project_id", "mirror"]).doUpdateSet(values))
          .execute();
      }),
    failed: async (mirror, error, retryInSeconds) => {
      const due = sql<number>`${database.now} + ${sql.lit(Math.round(retryInSeconds * 1000))}`;
      await kysely
        .insertInto("mirror_status")
        .values({ project_id: projectId, mirror, delivered: 0, tries: 1, last_error: error, due_at: due })
        .onConflict((conflict) =>
          conflict.columns(["project_id", "mirror"]).doUpdateSet({
            tries: sql<number>`mirror_status.tries + 1`,
            last_error: error,
            due_at: due,
          }),
        )
        .execute();
    },
    nameOf: async (mirror, kind, localId) => {
      const row = await kysely
        .selectFrom("mirror_names")
        .select("remote_id")
        .where("project_id", "=", projectId)
        .where("mirror", "=", mirror)
        .where("kind", "=", kind)
        .where("local_id", "=", localId)
        .executeTakeFirst();
      return row?.remote_id;
    },
    putName: async (mirror, kind, localId, remoteId) => {
      await kysely
        .insertInto("mirror_names")
        .values({ project_id: projectId, mirror, kind, local_id: localId, remote_id: remoteId })
        .onConflict((conflict) =>
          conflict.columns(["project_id", "mirror", "kind", "local_id"]).doUpdateSet({ remote_id: remoteId }),
        )
        .execute();
    },
    dropName: async (mirror, kind, localId) => {
      await kysely
        .deleteFrom("mirror_names")
        .where("project_id", "=", projectId)
        .where("mirror", "=", mirror)
        .where("kind", "=", kind)
        .where("local_id", "=", localId)
        .execute();
    },
    status: async (mirror) => {
      const { pending } = await kysely
        .selectFrom("mirror_outbox")
        .select(sql<number>`count(*)`.as("pending"))
        .where("project_id", "=", projectId)
        .where("mirror", "=", mirror)
        .executeTakeFirstOrThrow();
      const row = await kysely
        .selectFrom("mirror_status")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("mirror", "=", mirror)
        .executeTakeFirst();
      if (row === undefined) return { mirror, pending: Number(pending), delivered: 0, tries: 0 };
      return {
        mirror,
        pending: Number(pending),
        delivered: row.delivered,
        ...present("deliveredAt", row.delivered_at),
        tries: row.tries,
        ...present("lastError", row.last_error),
        ...(row.due_at === 0 ? {} : { dueAt: row.due_at }),
      };
    },
  };
}

/** Integers beyond 2^53, NaN and infinities travel as texts. */
function changeOf(kind: string, subject: string, payload: string): OutboxRow["change"] {
  const content = fromJson<Record<string, unknown>>(payload);
  if (kind !== "metrics") return { kind, subject, ...content } as OutboxRow["change"];
  const points = (content["points"] as { key: string; value: unknown; step: unknown; timestamp: unknown }[]).map(
    ({ key, value, step, timestamp }) => ({
      key,
      value: Number(value),
      step: typeof step === "string" ? BigInt(step) : Number(step),
      timestamp: typeof timestamp === "string" ? BigInt(timestamp) : Number(timestamp),
    }),
  );
  return { kind: "metrics", subject, points };
}
