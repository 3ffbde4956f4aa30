import { type RawBuilder, type Selectable, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import type { ExperimentsTable } from "../../schema/tracking.ts";
import { compareInteger, compareText, type FilterComparison, type OrderTerm } from "../filtering.ts";
import type { LifecycleStage } from "./experiments.ts";
import { anyOf } from "./search-run-conditions.ts";
import { readCursor, writeCursor } from "./search-run-cursor.ts";
import { behind, orderBy, readPosition, type SortColumn, selectPosition } from "./search-run-order.ts";

export interface ExperimentSearch {
  stages: readonly LifecycleStage[];
  /** Only this one is seen. */
  onlyId?: string;
  filter: readonly FilterComparison[];
  /** Empty: the newest first. */
  order: readonly OrderTerm[];
}

/** Ids are numbers, and sorted as such. */
const numericId = sql<number>`CAST(e.experiment_id AS BIGINT)`;

export async function findExperiments(
  database: RecordDatabase,
  search: ExperimentSearch,
  { limit, cursor }: { limit: number; cursor: string | undefined },
  signal?: AbortSignal,
): Promise<{ rows: Selectable<ExperimentsTable>[]; next?: string }> {
  const columns = sortColumns(search.order);
  const where = [
    sql<boolean>`e.project_id = ${database.projectId}`,
    anyOf(database, sql`e.lifecycle_stage`, search.stages),
    ...(search.onlyId === undefined ? [] : [sql<boolean>`e.experiment_id = ${search.onlyId}`]),
    ...search.filter.map((comparison) => condition(database, comparison)),
    ...(cursor === undefined ? [] : [behind(columns, readCursor(cursor, search.order, columns))]),
  ];
  const { rows } = await sql<Selectable<ExperimentsTable>>`SELECT e.*, ${selectPosition(columns)} FROM experiments AS e
    WHERE ${sql.join(where, sql` AND `)} ORDER BY ${orderBy(columns)} LIMIT ${limit + 1}`.execute(database.reader, {
    signal,
  });
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    rows: shown,
    ...(rows.length > limit && last !== undefined
      ? { next: writeCursor(search.order, readPosition({ ...last }, columns)) }
      : {}),
  };
}

function sortColumns(order: readonly OrderTerm[]): SortColumn[] {
  const newestFirst: OrderTerm[] = [
    { entity: "attribute", key: "creation_time", ascending: false },
    { entity: "attribute", key: "experiment_id", ascending: true },
  ];
  const terms = order.length === 0 ? newestFirst : order;
  const columns = terms.map(({ key, ascending }): SortColumn => {
    if (key === "experiment_id") return { value: numericId, kind: "integer", ascending };
    return { value: sql.ref(`e.${key}`), kind: key === "name" ? "text" : "integer", ascending };
  });
  const isUnique = terms.some(({ key }) => key === "experiment_id");
  return isUnique ? columns : [...columns, { value: numericId, kind: "integer", ascending: false }];
}

function condition({ projectId }: RecordDatabase, comparison: FilterComparison): RawBuilder<boolean> {
  const { entity, key, operator } = comparison;
  if (entity === "tag") {
    const rows = sql`SELECT 1 FROM experiment_tags AS f
      WHERE f.project_id = ${projectId} AND f.experiment_id = e.experiment_id AND f.key = ${key}`;
    if (operator === "IS NULL") return sql<boolean>`NOT EXISTS (${rows})`;
    if (operator === "IS NOT NULL") return sql<boolean>`EXISTS (${rows})`;
    return sql<boolean>`EXISTS (${rows} AND ${compareText(sql.ref("f.value"), comparison)})`;
  }
  if (key === "creation_time" || key === "last_update_time") return compareInteger(sql.ref(`e.${key}`), comparison);
  return compareText(sql.ref(`e.${key}`), comparison);
}
