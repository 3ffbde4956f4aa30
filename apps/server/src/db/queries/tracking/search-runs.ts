import { sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { readCursor, writeCursor } from "./search-run-cursor.ts";
import { type Driver, filterDrivers, scopeDriver } from "./search-run-drivers.ts";
import { type RunPosition, sortColumns } from "./search-run-order.ts";
import {
  collect,
  type FoundRun,
  type RunSearch,
  readSegment,
  type Segment,
  sampleWalk,
  walkByStart,
  walkByValue,
} from "./search-run-segments.ts";

export interface FoundRuns {
  /** In the order asked for. */
  ids: string[];
  /** Of each, the cursor of the page behind it. */
  cursorAfter(index: number): string;
  hasMore: boolean;
}

export interface SearchBounds {
  /** Counting stops here: beyond it, all that matters is that there are many. */
  mostCounted: number;
  /** So few runs are sorted before anything could be found out about them. */
  few: number;
  /** So many runs are tried of a walk. */
  tried: number;
}

const usualBounds: SearchBounds = { mostCounted: 10_000, few: 2000, tried: 500 };

/** Ids of the runs that the filter keeps. Errors: INVALID_INPUT for a cursor that no search with this order gave. */
export async function findRuns(
  database: RecordDatabase,
  search: RunSearch,
  page: { limit: number; cursor: string | undefined },
  signal?: AbortSignal,
  bounds: SearchBounds = usualBounds,
): Promise<FoundRuns> {
  const { limit, cursor } = page;
  const columns = sortColumns(database, search.order);
  const after = cursor === undefined ? undefined : readCursor(cursor, search.order, columns);
  const found: FoundRun[] = [];
  if (search.experimentIds.length > 0) {
    const segments = await planSearch(database, search, limit + 1, after, signal, bounds);
    for (const [index, segment] of segments.entries()) {
      const wanted = limit + 1 - found.length;
      // A position lies in the first part always: behind it there is no walk.
      const start = index === 0 ? after : undefined;
      if (wanted > 0) found.push(...(await readSegment(database, segment, start, wanted, signal)));
    }
  }
  const shown = found.slice(0, limit);
  return {
    ids: shown.map(({ id }) => id),
    cursorAfter: (index) => writeCursor(search.order, shown[index]?.position ?? []),
    hasMore: found.length > limit,
  };
}

/**
 * Chooses where to begin. Three ways lead to the same answer: through every run that one comparison keeps (when its index says these are
 * few), through every run of the experiments, or along the index of what is ordered by until the page is full. What each costs is
 * counted, up to a bound, and for the last tried on the first runs of the walk. A walk that may be long, since what is ordered by and what
 * is filtered by are at odds, has what the filter keeps gathered before it; PostgreSQL's planner does that by itself.
 */
async function planSearch(
  database: RecordDatabase,
  search: RunSearch,
  wanted: number,
  after: RunPosition | undefined,
  signal: AbortSignal | undefined,
  { few, mostCounted, tried }: SearchBounds,
): Promise<Segment[]> {
  const byStart = walkByStart(database, search);
  if (byStart !== undefined && search.filter.length === 0) return byStart;
  const drivers = [scopeDriver(database, search), ...filterDrivers(database, search.filter)];
  const smallest = await smallestOf(database, drivers, mostCounted, signal);
  const collected = [collect(database, search, smallest.driver)];
  const walk = byStart ?? walkByValue(database, search);
  const [start] = walk ?? [];
  // Behind the values lie only NaN and nothing: no walk is shorter than to look at all of them.
  const isBehindValues = (after?.[0]?.class ?? 0) > 0;
  if (walk === undefined || start === undefined || smallest.size <= few || isBehindValues) return collected;
  const { walked, kept } = await sampleWalk(database, start, after, tried, signal);
  const isWorthIt = walked === tried && kept > 0 && (tried * wanted) / kept < smallest.size;
  if (kept >= wanted || isWorthIt) return walk;
  if (smallest.size < mostCounted || byStart !== undefined || database.kind === "postgres") return collected;
  return walkByValue(database, search, drivers) ?? collected;
}

async function smallestOf(
  database: RecordDatabase,
  drivers: readonly Driver[],
  mostCounted: number,
  signal: AbortSignal | undefined,
): Promise<{ driver: Driver; size: number }> {
  const counts = drivers.map(
    ({ rows }, index) =>
      sql`(SELECT count(*) FROM (${rows} LIMIT ${mostCounted}) AS counted) AS ${sql.ref(`n${index}`)}`,
  );
  const { rows } = await sql<Record<string, number>>`SELECT ${sql.join(counts)}`.execute(database.reader, { signal });
  const sized = drivers.map((driver, index) => ({ driver, size: Number(rows[0]?.[`n${index}`] ?? mostCounted) }));
  return sized.reduce((best, one) => (one.size < best.size ? one : best));
}
