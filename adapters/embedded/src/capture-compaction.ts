import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { type CapturedField, type CaptureHeader, type ColumnType, canonicalJson } from "@espalier/core";
import { closedSegments, closeOrphans, readHeader } from "./capture-segments.ts";
import { type DuckDb, openDuckDb } from "./duckdb-client.ts";
import { readJson, writeJson } from "./serving-process.ts";

export interface CompactedFile {
  /** Parquet: prediction_id, model, version, event_time and served_at (UTC), one column an input, one an output, score. */
  path: string;
  model: string;
  version: string;
  rows: number;
}

export interface CompactionResult {
  files: CompactedFile[];
  /** Segments that could not be read; each is kept beside as `<name>.bad`. */
  skipped: { segment: string; reason: string }[];
}

const reserved = new Set(["prediction_id", "model", "version", "event_time", "served_at", "score"]);

const sqlTypes: Record<ColumnType, string> = {
  boolean: "BOOLEAN",
  integer: "INTEGER",
  long: "BIGINT",
  float: "DOUBLE",
  double: "DOUBLE",
  string: "VARCHAR",
  datetime: "VARCHAR",
};

/** Where compacted Parquet files of a capture folder lie. */
export function compactedDirectory(directory: string): string {
  return join(directory, "parquet");
}

/** The Parquet column of an input: its name, unless that is one of the fixed columns. */
export function captureColumn(input: string): string {
  return reserved.has(input.toLowerCase()) ? `input_${input}` : input;
}

/**
 * Turns all closed segments into one Parquet file a model version, then removes them. Atomic and idempotent: a note of the segments is
 * written before the file is published, so that a killed compaction is finished or undone by the next. Errors: DISK_FULL, UNAVAILABLE.
 * One compaction of a folder at a time.
 */
export async function compactCapture(directory: string): Promise<CompactionResult> {
  const target = compactedDirectory(directory);
  await mkdir(target, { recursive: true });
  await finishInterrupted(directory, target);
  await closeOrphans(directory);
  const result: CompactionResult = { files: [], skipped: [] };
  const groups = await groupByHeader(directory, result);
  if (groups.size === 0) return result;
  const duckDb = await openDuckDb({ threads: 2 });
  try {
    for (const { header, segments } of groups.values()) {
      const file = await compactGroup(duckDb, target, header, segments, result);
      if (file !== undefined) result.files.push(file);
    }
  } finally {
    await duckDb.close();
  }
  return result;
}

async function finishInterrupted(directory: string, target: string): Promise<void> {
  for (const name of await readdir(target)) {
    const path = join(target, name);
    if (name.includes(".tmp")) await rm(path, { force: true });
    if (!name.endsWith(".sources.json")) continue;
    const published = await exists(path.replace(".sources.json", ".parquet"));
    const sources = ((await readJson(path)) ?? []) as string[];
    if (published) await removeAll(sources.map((segment) => join(directory, basename(segment))));
    await rm(path);
  }
}

async function groupByHeader(
  directory: string,
  result: CompactionResult,
): Promise<Map<string, { header: CaptureHeader; segments: string[] }>> {
  const groups = new Map<string, { header: CaptureHeader; segments: string[] }>();
  for (const segment of await closedSegments(directory)) {
    const header = await readHeader(segment);
    if (header === undefined) {
      await setAside(segment, "its first line is not a header", result);
      continue;
    }
    const key = canonicalJson(header);
    const group = groups.get(key) ?? { header, segments: [] };
    group.segments.push(segment);
    groups.set(key, group);
  }
  return groups;
}

async function compactGroup(
  duckDb: DuckDb,
  target: string,
  header: CaptureHeader,
  segments: readonly string[],
  result: CompactionResult,
): Promise<CompactedFile | undefined> {
  const [first] = segments;
  if (first === undefined) return undefined;
  const version = `${header.model}-${header.version}`.replaceAll(/[^\w.-]/g, "_");
  const stem = join(target, `${version}-${basename(first, ".jsonl")}`);
  const temporary = `${stem}.tmp.parquet`;
  try {
    await duckDb.run(copyStatement(header, segments, temporary));
  } catch (error) {
    await rm(temporary, { force: true });
    return segments.length === 1
      ? giveUp(first, error, result)
      : compactAllButBad(duckDb, target, header, segments, result);
  }
  const rows = Number((await duckDb.rows(`SELECT count(*) AS rows FROM ${literal(temporary)}`))[0]?.rows ?? 0);
  await writeJson(
    `${stem}.sources.json`,
    segments.map((segment) => basename(segment)),
  );
  if (rows === 0) await rm(temporary);
  else await rename(temporary, `${stem}.parquet`);
  await removeAll(segments);
  await rm(`${stem}.sources.json`);
  return rows === 0 ? undefined : { path: `${stem}.parquet`, model: header.model, version: header.version, rows };
}

/** One damaged segment must not hold up all later ones: it is found by reading each alone. */
async function compactAllButBad(
  duckDb: DuckDb,
  target: string,
  header: CaptureHeader,
  segments: readonly string[],
  result: CompactionResult,
): Promise<CompactedFile | undefined> {
  const good: string[] = [];
  for (const segment of segments) {
    try {
      await duckDb.run(`SELECT count(*) FROM (${selectStatement(header, [segment])})`);
      good.push(segment);
    } catch (error) {
      await giveUp(segment, error, result);
    }
  }
  if (good.length === segments.length) throw new Error("all segments can be read alone, but not together");
  return compactGroup(duckDb, target, header, good, result);
}

/** Only damage of the segment is its fault; a full disk is not. */
async function giveUp(segment: string, error: unknown, result: CompactionResult): Promise<undefined> {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "INVALID_DATA" && code !== "INVALID_CONFIG" && code !== "INVALID_INPUT") throw error;
  await setAside(segment, error instanceof Error ? error.message : String(error), result);
}

async function setAside(segment: string, reason: string, result: CompactionResult): Promise<void> {
  await rename(segment, `${segment}.bad`);
  result.skipped.push({ segment: basename(segment), reason });
}

function copyStatement(header: CaptureHeader, segments: readonly string[], path: string): string {
  return `COPY (${selectStatement(header, segments)}) TO ${literal(path)} (FORMAT parquet, COMPRESSION zstd)`;
}

function selectStatement(header: CaptureHeader, segments: readonly string[]): string {
  const { inputs, outputs = [] } = header;
  const scoreType = header.scoreType === "string" ? "VARCHAR" : "DOUBLE";
  const columns = [
    "id: 'VARCHAR'",
    "\"rows\": 'BIGINT'",
    "\"eventTime\": 'BIGINT'",
    "\"servedAt\": 'BIGINT'",
    `score: '${scoreType}[]'`,
    ...inputs.map((field, index) => `c${index}: '${cellType(field)}[]'`),
    ...outputs.map((field, index) => `o${index}: '${cellType(field)}[]'`),
  ];
  const taken = new Set(inputs.map(({ name }) => captureColumn(name).toLowerCase()));
  const unnested = [
    ...inputs.map(({ name }, index) => `unnest(c${index}) AS ${identifier(captureColumn(name))}`),
    ...outputs.map(({ name }, index) => `unnest(o${index}) AS ${identifier(outputColumn(name, taken))}`),
    "unnest(score) AS score",
  ];
  // Lists unnested in one SELECT go in step. The header line has no id.
  return `
    SELECT CASE WHEN row_count = 1 THEN id ELSE id || '-' || row_index END AS prediction_id, * EXCLUDE (id, row_count, row_index)
    FROM (
      SELECT id, "rows" AS row_count, unnest(range("rows")) AS row_index,
        ${literal(header.model)} AS model, ${literal(header.version)} AS version,
        make_timestamp("eventTime" * 1000) AS event_time, make_timestamp("servedAt" * 1000) AS served_at,
        ${unnested.join(", ")}
      FROM read_json([${segments.map(literal).join(", ")}], format = 'newline_delimited', columns = {${columns.join(", ")}},
        maximum_object_size = 268435456)
      WHERE id IS NOT NULL
    )`;
}

function cellType({ type, shape }: CapturedField): string {
  return shape === undefined ? sqlTypes[type] : `${sqlTypes[type]}[]`;
}

/** `output_<name>`, unless an input is called so. */
function outputColumn(name: string, taken: Set<string>): string {
  let column = `output_${name}`;
  while (taken.has(column.toLowerCase())) column += "_";
  taken.add(column.toLowerCase());
  return column;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
