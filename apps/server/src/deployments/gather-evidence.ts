import { type EndpointStatus, isEspalierError, type ResampledMetric } from "@espalier/core";
import { loadEmbeddedParts } from "@espalier/host";
import { driftReport, livePerformance, profileTable } from "@espalier/quality";
import type { ControlPlane } from "../control-plane.ts";
import { monitorPorts } from "../monitoring/plane-monitors.ts";
import { columnsOf, parquet, type TrafficDatabase, type TrafficFiles, timestamp } from "../monitoring/traffic.ts";
import { neededEvidence } from "../rollouts/decide-rollout.ts";
import type { Evidence, MeasuredMetric, RolloutProgress } from "../rollouts/rollout-plan.ts";
import { smokeCheck } from "./smoke.ts";

/** Newest predictions of each version that are looked at: enough for any statistic, and bounded. */
const mostRows = 10_000;
const leastRows = 100;

/** What the next decision about a rollout needs to know beside counts; nothing while it can not be made anyway. */
export async function gatherEvidence(
  plane: ControlPlane,
  endpoint: string,
  progress: RolloutProgress,
  status: EndpointStatus | undefined,
): Promise<Evidence> {
  const needed = neededEvidence(progress, status, Date.now());
  if (needed === "smoke") return { smoke: await smokeCheck(plane, endpoint, progress.candidate, status) };
  if (needed === undefined) return {};
  let files: TrafficFiles;
  try {
    files = await monitorPorts(plane).files(endpoint);
  } catch (error) {
    // A tool that captures elsewhere, or a server that can not flush now: what is not known is said, and does not end the rollout.
    if (!isEspalierError(error)) throw error;
    return { shift: { reason: error.message }, metric: { reason: error.message } };
  }
  if (files.captured.length === 0) {
    const reason = "Nothing was captured, so predictions can not be compared.";
    return { shift: { reason }, metric: { reason } };
  }
  const database = await (await loadEmbeddedParts()).openDuckDb({ threads: 1, memoryLimit: "500MB" });
  try {
    await viewPredictions(database, files, progress);
    return {
      shift: await shiftOf(database),
      ...(progress.plan.metric === null ? {} : { metric: await metricsOf(database, files, progress.plan.metric.name) }),
    };
  } finally {
    await database.close();
  }
}

const sides = ["candidate", "stable"] as const;

/** Tables `candidate` and `stable`: newest predictions of the new version since the rollout began, and of the old ones. */
async function viewPredictions(
  database: TrafficDatabase,
  files: TrafficFiles,
  { candidate, analyses, stepStartedAt }: RolloutProgress,
): Promise<void> {
  const began = analyses[0]?.startedAt ?? stepStartedAt;
  const isCandidate = `model = '${candidate.model.replaceAll("'", "''")}' AND version = '${candidate.version}'`;
  const which = { candidate: `${isCandidate} AND served_at >= ${timestamp(began)}`, stable: `NOT (${isCandidate})` };
  for (const side of sides) {
    await database.run(
      `CREATE OR REPLACE TEMP TABLE ${side} AS SELECT prediction_id, score FROM ${parquet(files.captured)}
       WHERE ${which[side]} AND score IS NOT NULL
       QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY served_at) = 1
       ORDER BY served_at DESC LIMIT ${mostRows}`,
    );
  }
}

async function shiftOf(database: TrafficDatabase): Promise<NonNullable<Evidence["shift"]>> {
  const columns = await columnsOf(database, "stable", ["score"]);
  const rows = (sql: string) => database.rows(sql);
  const reference = await profileTable(rows, "stable", columns);
  const current = await profileTable(rows, "candidate", columns, { reference });
  const counts = { candidateRows: Math.round(current.rows), stableRows: Math.round(reference.rows) };
  const psi = driftReport(reference, current).columns[0]?.measures.psi;
  if (psi === undefined || Math.min(counts.candidateRows, counts.stableRows) < leastRows) {
    const reason = `${counts.candidateRows} and ${counts.stableRows} captured scores are too few to compare.`;
    return { reason };
  }
  return { psi, ...counts };
}

async function metricsOf(
  database: TrafficDatabase,
  files: TrafficFiles,
  metric: ResampledMetric,
): Promise<NonNullable<Evidence["metric"]>> {
  if (files.labels.length === 0) return { candidate: undefined, stable: undefined };
  const [candidate, stable] = [
    await measure(database, files, "candidate", metric),
    await measure(database, files, "stable", metric),
  ];
  return { candidate, stable };
}

async function measure(
  database: TrafficDatabase,
  files: TrafficFiles,
  side: (typeof sides)[number],
  metric: ResampledMetric,
): Promise<MeasuredMetric | undefined> {
  const rows = await database.rows(
    `SELECT CAST(score AS DOUBLE) AS score, CAST(l.label AS DOUBLE) AS label FROM ${side}
     JOIN (SELECT prediction_id, any_value(label) AS label FROM ${parquet(files.labels)} GROUP BY prediction_id) l
     USING (prediction_id) WHERE l.label IS NOT NULL ORDER BY prediction_id`,
  );
  const score = Float64Array.from(rows, (row) => Number(row["score"]));
  const target = Float64Array.from(rows, (row) => Number(row["label"]));
  const all = { column: "side", values: [side], codes: new Int32Array(rows.length) };
  const [measured] = livePerformance({ score, target }, all, undefined, { metric });
  if (measured === undefined) return undefined;
  const { value, lower, upper } = measured;
  return { value, lower, upper, labels: rows.length };
}
