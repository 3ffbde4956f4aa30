import type { Digest, Json } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { VerdictsTable } from "../schema/registry.ts";

export interface NewVerdict {
  /** Minted by the caller; saving the same id again changes nothing. */
  id: string;
  runId?: string;
  attemptId?: string;
  step?: string;
  /** Name or project path of the policy. */
  policy: string;
  policyDigest: Digest;
  candidateDigest: Digest;
  championDigest?: Digest;
  dataDigest?: Digest;
  outcome: "passed" | "refused" | "inconclusive";
  /** Whether the candidate goes on: an inconclusive verdict may, if the policy says so. */
  allowed: boolean;
  /** The whole verdict as the gate wrote it. */
  report: Json;
}

export interface VerdictRow extends NewVerdict {
  createdAt: number;
}

export interface VerdictQueries {
  save(verdict: NewVerdict): Promise<VerdictRow>;
  get(id: string): Promise<VerdictRow | undefined>;
  /** The newest verdict that lets this very content go on. */
  allowing(candidate: Digest): Promise<VerdictRow | undefined>;
  /** Newest first. */
  list(
    filter: { candidate?: Digest | undefined; runId?: string | undefined },
    page: PageRequest,
  ): Promise<Page<VerdictRow>>;
}

export function createVerdictQueries(database: RecordDatabase): VerdictQueries {
  const { kysely, projectId } = database;
  const get = async (id: string): Promise<VerdictRow | undefined> => {
    const row = await kysely
      .selectFrom("verdicts")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("verdict_id", "=", id)
      .executeTakeFirst();
    return row === undefined ? undefined : toRow(row);
  };
  return {
    save: async (verdict) => {
      await kysely
        .insertInto("verdicts")
        .values({
          project_id: projectId,
          verdict_id: verdict.id,
          run_id: verdict.runId ?? null,
          attempt_id: verdict.attemptId ?? null,
          step: verdict.step ?? null,
          policy: verdict.policy,
          policy_digest: verdict.policyDigest,
          candidate_digest: verdict.candidateDigest,
          champion_digest: verdict.championDigest ?? null,
          data_digest: verdict.dataDigest ?? null,
          outcome: verdict.outcome,
          passed: verdict.allowed ? 1 : 0,
          report: JSON.stringify(verdict.report),
          created_at: database.now,
        })
        .onConflict((conflict) => conflict.columns(["project_id", "verdict_id"]).doNothing())
        .execute();
      return (await get(verdict.id)) as VerdictRow;
    },
    get,
    allowing: async (candidate) => {
      const row = await kysely
        .selectFrom("verdicts")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("candidate_digest", "=", candidate)
        .where("passed", "=", 1)
        .orderBy("created_at", "desc")
        .orderBy("verdict_id", "desc")
        .limit(1)
        .executeTakeFirst();
      return row === undefined ? undefined : toRow(row);
    },
    list: async (filter, request) => {
      const keys = keyset(request, "descending", { created_at: "integer", verdict_id: "text" });
      let query = kysely
        .selectFrom("verdicts")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("created_at", "desc")
        .orderBy("verdict_id", "desc")
        .limit(keys.fetch);
      if (filter.candidate !== undefined) query = query.where("candidate_digest", "=", filter.candidate);
      if (filter.runId !== undefined) query = query.where("run_id", "=", filter.runId);
      return keys.page(await query.execute(), (row) => [row.created_at, row.verdict_id], toRow);
    },
  };
}

function toRow(row: Selectable<VerdictsTable>): VerdictRow {
  return {
    id: row.verdict_id,
    ...present("runId", row.run_id),
    ...present("attemptId", row.attempt_id),
    ...present("step", row.step),
    policy: row.policy,
    policyDigest: row.policy_digest as Digest,
    candidateDigest: row.candidate_digest as Digest,
    ...present("championDigest", row.champion_digest as Digest | null),
    ...present("dataDigest", row.data_digest as Digest | null),
    outcome: row.outcome as VerdictRow["outcome"],
    allowed: row.passed === 1,
    report: fromJson(row.report),
    createdAt: row.created_at,
  };
}
