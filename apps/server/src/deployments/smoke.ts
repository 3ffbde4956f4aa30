import {
  columnDatatype,
  type EndpointStatus,
  type JsonObject,
  type ModelSignature,
  type ServedVersion,
} from "@espalier/core";
import { loadEmbeddedParts } from "@espalier/host";
import { identifier, literal } from "@espalier/quality";
import type { ControlPlane } from "../control-plane.ts";
import { materialised, monitorPorts } from "../monitoring/plane-monitors.ts";
import { parquet } from "../monitoring/traffic.ts";
import type { Check } from "../rollouts/rollout-plan.ts";

const mostRows = 50;
const timeoutMilliseconds = 60_000;

/**
 * Asks a version without traffic real questions before it gets any: rows that callers sent, else rows that its gate judged it by. Each row
 * is a request of its own, so that one that is refused can be named.
 */
export async function smokeCheck(
  plane: ControlPlane,
  endpoint: string,
  candidate: ServedVersion,
  status: EndpointStatus | undefined,
): Promise<Check> {
  const unknown = (reason: string): Check => ({ name: "smoke", outcome: "unknown", reason });
  if (candidate.runtime !== undefined)
    return unknown("It is a program of the user's: its health check is what there is.");
  const version = await plane.record.models.version(candidate.model, Number(candidate.version));
  if (status === undefined || version?.signature === undefined)
    return unknown("It has no signature to make requests from.");
  const found = await rowsToTry(plane, endpoint, version);
  if (found === undefined)
    return unknown(
      "There are no rows to try it with: none captured in the clear, and no Parquet file that its gate judged it by.",
    );
  const { signature } = version;
  const url = `${status.url}/v2/models/${encodeURIComponent(candidate.model)}/versions/${candidate.version}/infer`;
  for (const [index, row] of found.rows.entries()) {
    const fault = await faultOf(url, signature, row);
    if (fault === undefined) continue;
    const reason = `Row ${index + 1} of ${found.rows.length} ${found.from} rows, tried on version ${candidate.version}: ${fault}`;
    return { name: "smoke", outcome: "fail", reason, values: { rows: found.rows.length, from: found.from } };
  }
  const reason = `It answered ${found.rows.length} ${found.from} rows.`;
  return { name: "smoke", outcome: "pass", reason, values: { rows: found.rows.length, from: found.from } };
}

interface Version {
  digest?: string | undefined;
  signature?: ModelSignature | undefined;
}

async function rowsToTry(
  plane: ControlPlane,
  endpoint: string,
  version: Version,
): Promise<{ rows: JsonObject[]; from: "captured" | "evaluated" } | undefined> {
  const names = version.signature?.inputs.map(({ name }) => name) ?? [];
  const captured = await capturedRows(plane, endpoint, names);
  if (captured.length > 0) return { rows: captured, from: "captured" };
  const path = await evaluatedTable(plane, version.digest);
  const evaluated = path === undefined ? [] : await select(`read_parquet(${literal(path)})`, names.map(identifier), "");
  return evaluated.length > 0 ? { rows: evaluated, from: "evaluated" } : undefined;
}

/** Redacted values are no values that a caller sent. */
async function capturedRows(plane: ControlPlane, endpoint: string, names: readonly string[]): Promise<JsonObject[]> {
  const spec = (await plane.record.endpoints.get(endpoint))?.spec;
  if (spec === undefined || spec.captureRate === 0 || spec.capture !== undefined) return [];
  if (plane.stack.deployer.captureDirectory === undefined) return [];
  const { captured } = await monitorPorts(plane).files(endpoint);
  if (captured.length === 0) return [];
  const { captureColumn } = await loadEmbeddedParts();
  const columns = names.map((name) => `${identifier(captureColumn(name))} AS ${identifier(name)}`);
  const known = await columnsIn(parquet(captured));
  // Callers never sent what an older version did not take: the request is made without it, and is refused if it is needed.
  const there = columns.filter((_, index) => known.has(captureColumn(names[index] ?? "")));
  return there.length === 0 ? [] : select(parquet(captured), there, "ORDER BY served_at DESC");
}

async function columnsIn(source: string): Promise<Set<string>> {
  const database = await (await loadEmbeddedParts()).openDuckDb({ threads: 1, memoryLimit: "200MB" });
  try {
    const rows = await database.rows(`DESCRIBE SELECT * FROM ${source}`);
    return new Set(rows.map((row) => String(row["column_name"])));
  } finally {
    await database.close();
  }
}

async function select(source: string, columns: readonly string[], order: string): Promise<JsonObject[]> {
  const database = await (await loadEmbeddedParts()).openDuckDb({ threads: 1, memoryLimit: "200MB" });
  try {
    return await database.rows(`SELECT ${columns.join(", ")} FROM ${source} ${order} LIMIT ${mostRows}`);
  } finally {
    await database.close();
  }
}

/** The table that the version's gate looked at, if the run that made it is still on record. */
async function evaluatedTable(plane: ControlPlane, digest: string | undefined): Promise<string | undefined> {
  const verdict = digest === undefined ? undefined : await plane.record.verdicts.allowing(digest as `sha256:${string}`);
  if (verdict?.runId === undefined || verdict.dataDigest === undefined) return undefined;
  const steps = await plane.record.engine.steps(verdict.runId);
  const ref = steps
    .flatMap((step) => Object.values(step.outputs ?? {}))
    .find((one) => one.digest === verdict.dataDigest);
  return ref?.type === "parquet" ? materialised(plane, ref) : undefined;
}

async function faultOf(url: string, { inputs }: ModelSignature, row: JsonObject): Promise<string | undefined> {
  const tensors = inputs
    .filter(({ name }) => name in row)
    .map(({ name, type }) => ({ name, shape: [1], datatype: columnDatatype[type], data: [row[name] ?? null] }));
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ inputs: tensors }),
      signal: AbortSignal.timeout(timeoutMilliseconds),
    });
  } catch (error) {
    return `no answer: ${error instanceof Error ? error.message : error}`;
  }
  const text = await response.text();
  if (response.status !== 200) return `it answers ${response.status}: ${text.slice(0, 300)}`;
  const { outputs } = JSON.parse(text) as { outputs?: { name: string; data: unknown[] }[] };
  const empty = outputs?.find(({ data }) => data.flat(9).some((value) => value === null));
  return empty === undefined ? undefined : `its output ${empty.name} holds no number`;
}
