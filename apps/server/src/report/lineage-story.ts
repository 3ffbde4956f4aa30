import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { loadEmbeddedParts } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import { labelDirectory } from "../monitoring/plane-monitors.ts";
import { parquet } from "../monitoring/traffic.ts";
import { documentOf, type Facts, metricOf, type RunFacts } from "./facts.ts";
import type { LineageStep } from "./story.ts";
import { count, decimal, numberIn, shortDigest, text } from "./words.ts";

/** One captured answer, followed back through its model and run to the file that was logged; empty without any capture. */
export async function lineageStory(plane: ControlPlane, facts: Facts): Promise<LineageStep[]> {
  const [endpoint] = (await plane.record.endpoints.list({ limit: 1 })).items;
  const prediction = endpoint === undefined ? undefined : await newestPrediction(plane, endpoint.name);
  if (endpoint === undefined || prediction === undefined) return [];
  const version = await plane.record.models.version(prediction.model, prediction.version);
  const of = facts.runs.find(({ run }) => run.id === version?.runId);
  const verdict = version?.verdictId === undefined ? undefined : await plane.record.verdicts.get(version.verdictId);
  return [
    { kind: "prediction", title: prediction.id, detail: prediction.detail },
    { kind: "endpoint", title: endpoint.name, detail: `answered by ${prediction.model} version ${prediction.version}` },
    {
      kind: "model",
      title: `${prediction.model}@${prediction.version}`,
      detail: version?.digest ?? "not on record",
    },
    ...(verdict === undefined
      ? []
      : [
          {
            kind: "verdict",
            title: verdict.outcome,
            detail: `${verdict.policy}, ${shortDigest(verdict.policyDigest)}`,
          },
        ]),
    ...(of === undefined ? [] : runSteps(of)),
  ];
}

function runSteps(of: RunFacts): LineageStep[] {
  const { run, steps } = of;
  const date = run.logicalDate === undefined ? "started by hand" : `for ${run.logicalDate.slice(0, 10)}`;
  const lines: LineageStep[] = [{ kind: "run", title: run.id, detail: `${run.pipeline.name}, ${date}` }];
  for (const step of steps.filter((row) => run.pipeline.steps[row.step]?.uses === "sql")) {
    for (const [name, ref] of Object.entries(step.outputs ?? {})) {
      const rows = metricOf(of, step.step, `rows.${name}`);
      const size = rows === undefined ? "" : `${count(rows)} rows, `;
      lines.push({ kind: "table", title: `${step.step}.${name}`, detail: `${size}${ref.digest}` });
    }
  }
  const report = documentOf(of, "validate", "report");
  if (report !== undefined) {
    const rows = numberIn(report, "rows") ?? 0;
    const quarantined = numberIn(report, "quarantined") ?? 0;
    lines.push({
      kind: "validation",
      title: `${count(rows - quarantined)} rows kept`,
      detail: `${count(quarantined)} of ${count(rows)} rows quarantined`,
    });
  }
  const dataset = documentOf(of, "dataset", "version");
  if (dataset !== undefined) {
    lines.push({
      kind: "dataset",
      title: `${text(dataset.dataset)}@${text(dataset.version)}`,
      detail: text(dataset.digest),
    });
    lines.push({ kind: "source", title: text(dataset.source), detail: "logged as it was" });
  }
  return lines;
}

interface Answer {
  id: string;
  model: string;
  version: number;
  detail: string;
}

async function newestPrediction(plane: ControlPlane, endpoint: string): Promise<Answer | undefined> {
  const directory = plane.stack.deployer.captureDirectory?.(endpoint);
  if (directory === undefined) return undefined;
  const { compactedDirectory, openDuckDb } = await loadEmbeddedParts();
  const captured = await parquetFiles(compactedDirectory(directory));
  if (captured.length === 0) return undefined;
  const labels = await parquetFiles(labelDirectory(plane, endpoint));
  const database = await openDuckDb({ threads: 1, memoryLimit: "300MB" });
  try {
    const label =
      labels.length === 0
        ? "SELECT NULL::VARCHAR AS prediction_id, NULL::DOUBLE AS label WHERE false"
        : `SELECT prediction_id, label FROM ${parquet(labels)}`;
    const [row] = await database.rows(
      `SELECT c.*, l.label FROM (SELECT * FROM ${parquet(captured)} ORDER BY event_time DESC, prediction_id DESC LIMIT 1) c
       LEFT JOIN (${label}) l USING (prediction_id)`,
    );
    if (row === undefined) return undefined;
    const { prediction_id, model, version, event_time, served_at: _served, score, label: truth, ...inputs } = row;
    const values = Object.entries(inputs)
      .filter(([name, value]) => value !== null && !name.startsWith("output_"))
      .map(([name, value]) => `${name} ${short(value)}`);
    return {
      id: text(prediction_id),
      model: text(model),
      version: Number(version),
      detail: `${text(event_time)} UTC, ${values.join(", ")}; score ${short(score)}${truth === null || truth === undefined ? "" : `, label ${short(truth)}`}`,
    };
  } finally {
    await database.close();
  }
}

function short(value: unknown): string {
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? String(value) : decimal(value);
}

async function parquetFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names
    .filter((name) => name.endsWith(".parquet") && !name.includes(".tmp"))
    .sort()
    .map((name) => join(directory, name));
}
