import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import type { FilterComparison, OrderTerm } from "../filtering.ts";
import {
  columnsOf,
  inScope,
  isLogged,
  loggedTables,
  loggedValue,
  type RunScope,
  runCondition,
} from "./search-run-conditions.ts";
import { type Driver, indexedBy, loggedWalk, scopeDriver } from "./search-run-drivers.ts";
import {
  behind,
  direction,
  joins,
  orderBy,
  type RunPosition,
  readPosition,
  type SortColumn,
  selectPosition,
  sortColumns,
  type ValueClass,
} from "./search-run-order.ts";

export interface RunSearch extends RunScope {
  filter: readonly FilterComparison[];
  order: readonly OrderTerm[];
}

/** A query that gives a part of the runs found, in order; the parts of a search follow one another. */
export interface Segment {
  from: RawBuilder<unknown>;
  /** What the walked index itself decides. */
  where: RawBuilder<boolean>;
  /** What is asked of each run on the way. */
  conditions: readonly RawBuilder<boolean>[];
  columns: readonly SortColumn[];
  /** Of the first thing ordered by, when all runs of the part share it: it is then no column, unless they have values (0). */
  shared?: ValueClass;
  /** The form of the first column that the walked index is in the order of. */
  indexed?: (value: RawBuilder<unknown>) => RawBuilder<unknown>;
  /** The walked index alone, without the runs; `id` is its column. */
  rows?: { from: RawBuilder<unknown>; where: RawBuilder<boolean>; id: RawBuilder<string> };
}

/** Every run that the driver's comparison keeps, sorted. */
export function collect(database: RecordDatabase, search: RunSearch, driver: Driver): Segment {
  return {
    from: driver.from,
    where: driver.where,
    conditions: conditions(database, search, (comparison) => comparison !== driver.comparison),
    columns: sortColumns(database, search.order),
  };
}

/** One experiment in one stage lies in its index in the order of the start; undefined when that is not what is asked. */
export function walkByStart(database: RecordDatabase, search: RunSearch): Segment[] | undefined {
  const [first] = search.order;
  const isByStart = first === undefined || (first.entity === "attribute" && first.key === "start_time");
  if (!isByStart || search.experimentIds.length !== 1 || search.stages.length !== 1) return undefined;
  const scope = scopeDriver(database, search);
  const rows = { from: scope.from, where: scope.where, id: sql.ref<string>("r.run_id") };
  return [{ ...collect(database, search, scope), indexed: (value) => value, rows }];
}

/**
 * Along the index of what is ordered by: runs with a value, then those with NaN, then those with none. undefined without an index. What
 * the `sets` keep is gathered first and asked for by id: that is for walks so long that a look at each run would cost more.
 */
export function walkByValue(
  database: RecordDatabase,
  search: RunSearch,
  sets: readonly Driver[] = [],
): Segment[] | undefined {
  const [term] = search.order;
  const [first, ...others] = sortColumns(database, search.order);
  if (term === undefined || first === undefined || !isLogged(term.entity)) return undefined;
  const { entity, key } = term;
  // Comparisons of the very value that is walked cut the walk short.
  const isOnWalk = (one: FilterComparison): boolean =>
    one.entity === entity && one.key === key && one.operator !== "IS NULL";
  const onWalk = search.filter.filter(isOnWalk).map((one) => loggedValue(columnsOf("o0"), one));
  const gathered = sets.filter(({ ids, comparison }) => ids !== undefined && comparison && !isOnWalk(comparison));
  const isGathered = new Set(gathered.map(({ comparison }) => comparison));
  const asked = conditions(database, search, (one) => !isOnWalk(one) && !isGathered.has(one));
  const isIn = (column: string): RawBuilder<boolean>[] =>
    gathered.map(({ ids }) => sql<boolean>`${sql.ref(column)} IN (${ids})`);
  const values = loggedWalk(database, entity, key, false);
  const segments: Segment[] = [
    {
      from: values.from,
      where: all([values.where, ...onWalk, ...isIn("o0.run_id")]),
      conditions: asked,
      columns: [{ value: first.value, kind: first.kind, ascending: first.ascending }, ...others],
      shared: 0,
      indexed: values.indexed,
      rows: { from: values.rows.from, where: all([values.rows.where, ...onWalk]), id: sql.ref<string>("o0.run_id") },
    },
  ];
  if (entity === "metric") {
    const nans = loggedWalk(database, entity, key, true);
    segments.push({
      from: nans.from,
      where: all([nans.where, ...onWalk, ...isIn("o0.run_id")]),
      conditions: asked,
      columns: others,
      shared: 1,
    });
  }
  if (onWalk.length > 0) return segments;
  const missing = sql<boolean>`NOT EXISTS (SELECT 1 FROM ${sql.table(loggedTables[entity])} AS f
    WHERE f.project_id = ${database.projectId} AND f.run_id = r.run_id AND f.key = ${key})`;
  const scope = scopeDriver(database, search);
  return [
    ...segments,
    {
      from: scope.from,
      where: scope.where,
      conditions: [...isIn("r.run_id"), missing, ...asked],
      columns: others,
      shared: 2,
    },
  ];
}

function conditions(
  database: RecordDatabase,
  search: RunSearch,
  asked: (comparison: FilterComparison) => boolean,
): RawBuilder<boolean>[] {
  // Of equal texts there are few mostly, of values above a bound many: what keeps least is asked first.
  const equal = ({ operator }: FilterComparison): number => (operator === "=" ? 0 : 1);
  const ordered = search.filter.filter(asked).sort((a, b) => equal(a) - equal(b));
  return [inScope(database, search), ...ordered.map((comparison) => runCondition(database, comparison))];
}

const all = (parts: readonly RawBuilder<boolean>[]): RawBuilder<boolean> => sql`${sql.join(parts, sql` AND `)}`;

export interface FoundRun {
  id: string;
  position: RunPosition;
}

/** Runs of the segment behind the position, up to the limit. */
export async function readSegment(
  database: RecordDatabase,
  segment: Segment,
  after: RunPosition | undefined,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<FoundRun[]> {
  const { shared, columns, indexed } = segment;
  const where = [segment.where, ...segment.conditions];
  if (after !== undefined) where.push(...startOf(segment, after), behind(columns, after));
  const [first] = columns;
  const order =
    indexed === undefined || first === undefined
      ? orderBy(columns)
      : sql`${indexed(first.value)} ${direction(first)}, ${orderBy(columns)}`;
  const { rows } = await sql<{ id: string }>`SELECT r.run_id AS id, ${selectPosition(columns)}
    FROM ${segment.from} ${joins(columns)} WHERE ${all(where)} ORDER BY ${order} LIMIT ${limit}`.execute(
    database.reader,
    {
      signal,
    },
  );
  const head = shared === 1 || shared === 2 ? [{ class: shared, value: null }] : [];
  return rows.map((row) => ({ id: row.id, position: [...head, ...readPosition(row, columns)] }));
}

/** Where in the index to begin: `behind` alone is no range that an index could start at. */
function startOf({ columns: [first], indexed }: Segment, [place]: RunPosition): RawBuilder<boolean>[] {
  if (first === undefined || first.class !== undefined || place === undefined || indexed === undefined) return [];
  const from = first.ascending ? sql`>=` : sql`<=`;
  return [sql<boolean>`${indexed(first.value)} ${from} ${indexed(sql`${place.value}`)}`];
}

/** How many of the next runs on the walk are kept. */
export async function sampleWalk(
  database: RecordDatabase,
  segment: Segment,
  after: RunPosition | undefined,
  size: number,
  signal: AbortSignal | undefined,
): Promise<{ walked: number; kept: number }> {
  const { rows, columns, indexed, conditions: asked } = segment;
  const [first] = columns;
  if (rows === undefined || first === undefined || indexed === undefined) return { walked: 0, kept: 0 };
  const where = [rows.where, ...(after === undefined ? [] : startOf(segment, after))];
  const found = await sql<{ walked: number; kept: number }>`SELECT count(*) AS walked,
      coalesce(sum(CASE WHEN ${all(asked)} THEN 1 ELSE 0 END), 0) AS kept
    FROM (SELECT ${rows.id} AS run_id FROM ${rows.from} WHERE ${all(where)}
      ORDER BY ${indexed(first.value)} ${direction(first)} LIMIT ${size}) AS walk
    CROSS JOIN runs AS r ${indexedBy(database, "runs_by_id")}
    WHERE r.project_id = ${database.projectId} AND r.run_id = walk.run_id`.execute(database.reader, {
    signal,
  });
  const { walked = 0, kept = 0 } = found.rows[0] ?? {};
  return { walked: Number(walked), kept: Number(kept) };
}
