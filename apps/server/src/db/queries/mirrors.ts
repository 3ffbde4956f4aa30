import { sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import type { MirrorNames, RegistryChange, RunChange, TrackingChange } from "../mirror-changes.ts";

export interface OutboxRow {
  number: number;
  change: TrackingChange | RegistryChange | RunChange;
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
  /** Takes the mirror for some seconds, unless another control plane has it or it waits after a failure. */
  claim(mirror: string, leaseSeconds: number): Promise<boolean>;
  /** The next changes, in order. */
  next(mirror: string, limit: number): Promise<OutboxRow[]>;
  /** The number of the newest change. */
  newest(mirror: string): Promise<number>;
  /** Forgets changes up to a number. */
  delivered(mirror: string, number: number): Promise<void>;
  failed(mirror: string, error: string, retryInSeconds: number): Promise<void>;
  /** Ends the wait after a failure. */
  retryNow(mirror: string): Promise<void>;
  /** Gives back what `claim` took. */
  release(mirror: string): Promise<void>;
  /** What a thing of ours is called over there. */
  nameOf(mirror: string, kind: string, localId: string): Promise<string | undefined>;
  putName(mirror: string, kind: string, localId: string, remoteId: string): Promise<void>;
  dropName(mirror: string, kind: string, localId: string): Promise<void>;
  /** Ids of ours that begin so; at most 10,000. */
  namesUnder(mirror: string, kind: string, prefix: string): Promise<string[]>;
  status(mirror: string): Promise<MirrorStatusRow>;
}

export function createMirrorQueries(database: RecordDatabase): MirrorQueries {
  const { kysely, projectId } = database;
  return {
    tell: (names) => {
      database.mirrors = names;
    },
    claim: (mirror, leaseSeconds) =>
      database.transaction(async (transaction) => {
        await transaction
          .insertInto("mirror_status")
          .values({ project_id: projectId, mirror, delivered: 0, tries: 0, due_at: 0 })
          .onConflict((conflict) => conflict.doNothing())
          .execute();
        // Who owns an SQLite project is alone: a lease would only make it wait after a crash.
        const until =
          database.kind === "sqlite"
            ? sql<number>`due_at`
            : sql<number>`${database.now} + ${sql.lit(Math.round(leaseSeconds * 1000))}`;
        const taken = await transaction
          .updateTable("mirror_status")
          .set({ due_at: until })
          .where("project_id", "=", projectId)
          .where("mirror", "=", mirror)
          .where("due_at", "<=", database.now)
          .returning("mirror")
          .executeTakeFirst();
        return taken !== undefined;
      }),
    newest: async (mirror) => {
      const row = await kysely
        .selectFrom("counters")
        .select("value")
        .where("project_id", "=", projectId)
        .where("name", "=", `mirror:${mirror}`)
        .executeTakeFirst();
      return row?.value ?? 0;
    },
    next: async (mirror, limit) => {
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
    retryNow: async (mirror) => {
      await kysely
        .updateTable("mirror_status")
        .set({ due_at: 0 })
        .where("project_id", "=", projectId)
        .where("mirror", "=", mirror)
        .where("tries", ">", 0)
        .execute();
    },
    release: async (mirror) => {
      await kysely
        .updateTable("mirror_status")
        .set({ due_at: 0 })
        .where("project_id", "=", projectId)
        .where("mirror", "=", mirror)
        .where("tries", "=", 0)
        .execute();
    },
    namesUnder: async (mirror, kind, prefix) => {
      const rows = await kysely
        .selectFrom("mirror_names")
        .select("local_id")
        .where("project_id", "=", projectId)
        .where("mirror", "=", mirror)
        .where("kind", "=", kind)
        .where("local_id", ">=", prefix)
        .where("local_id", "<", `${prefix}\u{10FFFF}`)
        .orderBy("local_id")
        .limit(10_000)
        .execute();
      return rows.map((row) => row.local_id);
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
