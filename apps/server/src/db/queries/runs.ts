import { type ArtifactRef, EspalierError, type Json, type RunRow, type RunState, type StepState } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import { readRun } from "./engine/create-run.ts";
import { toRunRow } from "./engine/rows.ts";
import type { FilterComparison } from "./filtering.ts";
import { runSearchCondition } from "./run-search.ts";

export interface RunFilter {
  pipeline?: string | undefined;
  state?: RunState | undefined;
  /** Kind of trigger. */
  trigger?: string | undefined;
  /** Id of the trigger: a schedule, a monitor. */
  logicalDate?: string | undefined;
  /** Each must hold; see `runSearchCondition`. */
  search?: readonly FilterComparison[] | undefined;
}

/** A run in a list: without its pipeline, whose name is enough there. */
export type RunSummary = Omit<RunRow, "pipeline" | "resolved" | "snapshots"> & { pipeline: string };

export interface RunEventRow {
  number: number;
  at: number;
  type: string;
  step?: string;
  branch?: number;
  attemptId?: string;
  data: Readonly<Record<string, Json>>;
}

export interface RunOutput {
  step: string;
  branch: number;
  output: string;
  artifact: ArtifactRef;
}

export interface RunQueries {
  /** Newest first. */
  list(filter: RunFilter, page: PageRequest): Promise<Page<RunSummary>>;
  get(runId: string): Promise<RunRow | undefined>;
  /** A whole id, a beginning that only one run has, or `latest`. Errors: NOT_FOUND, INVALID_INPUT (several runs begin so). */
  resolve(reference: string): Promise<string>;
  /** Steps and branches by state. */
  counts(runId: string): Promise<Partial<Record<StepState, number>>>;
  /** Events after a number, at most `limit` (1000), in order. */
  events(runId: string, afterNumber: number, limit?: number): Promise<RunEventRow[]>;
  outputs(runId: string, page: PageRequest): Promise<Page<RunOutput>>;
}

export function createRunQueries(database: RecordDatabase): RunQueries {
  const { kysely, reader, projectId } = database;
  return {
    list: async (filter, request) => {
      const keys = keyset(request, "descending", {
        "pipeline_runs.created_at": "integer",
        "pipeline_runs.run_id": "text",
      });
      let query = kysely
        .selectFrom("pipeline_runs")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("created_at", "desc")
        .orderBy("run_id", "desc")
        .limit(keys.fetch);
      if (filter.pipeline !== undefined) query = query.where("pipeline", "=", filter.pipeline);
      if (filter.state !== undefined) query = query.where("state", "=", filter.state);
      if (filter.trigger !== undefined) query = query.where("trigger_kind", "=", filter.trigger);
      if (filter.logicalDate !== undefined) query = query.where("logical_date", "=", filter.logicalDate);
      for (const comparison of filter.search ?? []) query = query.where(runSearchCondition(database, comparison));
      // A search may look at every run there is: beside the writer it holds up nobody.
      const { rows } = await (filter.search === undefined ? kysely : reader).executeQuery(query.compile());
      return keys.page(
        rows,
        (row) => [row.created_at, row.run_id],
        (row) => {
          const {
            resolved: _,
            snapshots: __,
            ...rest
          } = toRunRow({ ...row, ir: "null", resolved: "{}", snapshots: "{}" });
          return { ...rest, pipeline: row.pipeline };
        },
      );
    },
    get: (runId) => readRun(database, kysely, runId),
    resolve: async (reference) => {
      let query = kysely.selectFrom("pipeline_runs").select("run_id").where("project_id", "=", projectId).limit(2);
      if (reference === "latest") query = query.orderBy("created_at", "desc").orderBy("run_id", "desc").limit(1);
      else {
        // Every text that begins with the reference lies between it and it followed by the greatest character.
        query = query.where("run_id", ">=", reference).where("run_id", "<", `${reference}\u{10FFFF}`).orderBy("run_id");
      }
      const [found, other] = await query.execute();
      if (found === undefined) {
        throw new EspalierError(
          "NOT_FOUND",
          reference === "latest" ? "There is no run yet" : `There is no run ${reference}`,
          {
            hint: "`espalier runs list` shows those there are.",
          },
        );
      }
      if (other !== undefined && found.run_id !== reference) {
        throw new EspalierError("INVALID_INPUT", `Several runs begin with ${reference}`, {
          hint: "Give more of the id.",
        });
      }
      return found.run_id;
    },
    counts: async (runId) => {
      const rows = await kysely
        .selectFrom("steps")
        .select(["state", sql<number>`count(*)`.as("steps")])
        .where("project_id", "=", projectId)
        .where("run_id", "=", runId)
        .groupBy("state")
        .execute();
      return Object.fromEntries(rows.map((row) => [row.state, row.steps]));
    },
    events: async (runId, afterNumber, limit = 1000) => {
      const rows = await kysely
        .selectFrom("run_events")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("run_id", "=", runId)
        .where("number", ">", afterNumber)
        .orderBy("number")
        .limit(Math.min(limit, 1000))
        .execute();
      return rows.map((row) => ({
        number: row.number,
        at: row.at,
        type: row.type,
        ...present("step", row.step),
        ...present("branch", row.branch),
        ...present("attemptId", row.attempt_id),
        data: fromJson(row.payload),
      }));
    },
    outputs: async (runId, request) => {
      const keys = keyset(request, "ascending", { position: "integer", step: "text", branch: "integer" });
      const rows = await kysely
        .selectFrom("steps")
        .select(["position", "step", "branch", "outputs"])
        .where("project_id", "=", projectId)
        .where("run_id", "=", runId)
        .where("outputs", "is not", null)
        .where(keys.after)
        .orderBy("position")
        .orderBy("step")
        .orderBy("branch")
        .limit(keys.fetch)
        .execute();
      const page = keys.page(
        rows,
        (row) => [row.position, row.step, row.branch],
        (row) =>
          Object.entries(fromJson<Record<string, ArtifactRef>>(row.outputs ?? "{}")).map(([output, artifact]) => ({
            step: row.step,
            branch: row.branch,
            output,
            artifact,
          })),
      );
      return { ...page, items: page.items.flat() };
    },
  };
}
