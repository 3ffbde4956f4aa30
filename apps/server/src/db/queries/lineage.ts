import { EspalierError } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase } from "../database.ts";

/** Nodes are `kind:id`: `dataset:flights@3`, `artifact:sha256:...`, `run:01J...`, `model:flights@2`, `endpoint:flights#4`. */
export interface LineageEdge {
  from: string;
  to: string;
  /** `read`, `produced`, `registered_as`, `served_by`, ... */
  relation: string;
  runId?: string;
}

export interface LineageGraph {
  /** The start first, then by distance. */
  nodes: string[];
  edges: Pick<LineageEdge, "from" | "to" | "relation">[];
  /** true: the graph goes on beyond the limit or the depth. */
  truncated: boolean;
}

export interface LineageBounds {
  /** Edges away from the start, 1 to 50; 10 when left out. */
  depth?: number;
  /** Edges, 1 to 5000; 500 when left out. The nearest are kept. */
  limit?: number;
}

export interface LineageQueries {
  /** Idempotent. */
  addEdges(edges: readonly LineageEdge[]): Promise<void>;
  /** What the node was made from. */
  upstream(node: string, bounds?: LineageBounds): Promise<LineageGraph>;
  /** What was made from the node. */
  downstream(node: string, bounds?: LineageBounds): Promise<LineageGraph>;
}

const edgesAStatement = 500;

export function createLineageQueries(database: RecordDatabase): LineageQueries {
  return {
    addEdges: (edges) =>
      database.transaction(async (transaction) => {
        for (let start = 0; start < edges.length; start += edgesAStatement) {
          await transaction
            .insertInto("lineage_edges")
            .values(
              edges.slice(start, start + edgesAStatement).map((edge) => ({
                project_id: database.projectId,
                from_node: edge.from,
                to_node: edge.to,
                relation: edge.relation,
                run_id: edge.runId ?? null,
                created_at: database.now,
              })),
            )
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        }
      }),
    upstream: (node, bounds = {}) => walk(database, node, "from_node", "to_node", bounds),
    downstream: (node, bounds = {}) => walk(database, node, "to_node", "from_node", bounds),
  };
}

async function walk(
  database: RecordDatabase,
  start: string,
  next: "from_node" | "to_node",
  previous: "from_node" | "to_node",
  { depth = 10, limit = 500 }: LineageBounds,
): Promise<LineageGraph> {
  if (!Number.isInteger(depth) || depth < 1 || depth > 50)
    throw new EspalierError("INVALID_INPUT", "A depth is 1 to 50", { at: "depth" });
  if (!Number.isInteger(limit) || limit < 1 || limit > 5000)
    throw new EspalierError("INVALID_INPUT", "A limit is 1 to 5000", { at: "limit" });
  // UNION (not ALL) drops what was reached at the same distance already; the depth bounds cycles, which backfills could make.
  const found = await sql<{ from_node: string; to_node: string; relation: string; distance: number }>`
    WITH RECURSIVE reached (node, distance) AS (
      SELECT CAST(${start} AS TEXT)${sql.raw(database.kind === "postgres" ? ' COLLATE "C"' : "")}, 0
      UNION
      SELECT edge.${sql.ref(next)}, reached.distance + 1
      FROM reached JOIN lineage_edges edge ON edge.project_id = ${database.projectId} AND edge.${sql.ref(previous)} = reached.node
      WHERE reached.distance <= ${sql.lit(depth)}
    )
    SELECT edge.from_node, edge.to_node, edge.relation, min(reached.distance) AS distance
    FROM reached JOIN lineage_edges edge ON edge.project_id = ${database.projectId} AND edge.${sql.ref(previous)} = reached.node
    GROUP BY edge.from_node, edge.to_node, edge.relation
    ORDER BY 4, 1, 2, 3
    LIMIT ${limit + 1}`.execute(database.kysely);
  const within = found.rows.filter((row) => row.distance < depth).slice(0, limit);
  const nodes = new Set([start]);
  for (const row of within) nodes.add(row[next]);
  return {
    nodes: [...nodes],
    edges: within.map((row) => ({ from: row.from_node, to: row.to_node, relation: row.relation })),
    truncated: within.length < found.rows.length,
  };
}
