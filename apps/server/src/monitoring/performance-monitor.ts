import { bootstrapInterval, type Interval, type JsonObject, resamplingGroups, type ScoredRows } from "@espalier/core";
import { livePerformance } from "@espalier/quality";
import { insufficient, type Judgement } from "./judgement.ts";
import type { PerformanceSettings } from "./monitor-settings.ts";
import type { ServedShare, TrafficDatabase } from "./traffic.ts";
import { dayMilliseconds } from "./windows.ts";

export interface PerformancePorts {
  /** The metric that the gate measured on the candidate that became this version; undefined when nothing judged it. */
  gateMetric(served: ServedShare, metric: string): Promise<number | undefined>;
}

interface Labelled {
  rows: ScoredRows;
  /** Day of each row, as an index. */
  days: { values: string[]; codes: Int32Array };
}

interface Finding {
  crossed: boolean;
  sentence: string;
  results: JsonObject;
}

/** Measures the table `labelled`, days resampled as wholes, against what the gate promised. */
export async function judgePerformance(
  database: TrafficDatabase,
  settings: PerformanceSettings,
  served: ServedShare,
  rows: number,
  ports: PerformancePorts,
): Promise<Judgement> {
  const options = settings.with;
  const labelled = await readLabelled(database);
  const count = labelled.rows.score.length;
  if (count < options.min_rows || count < options.min_label_share * rows) {
    return insufficient(count, `${count} of ${rows} predictions have a label; that is too few to say.`);
  }
  const findings: Finding[] = [];
  if (settings.thresholds.bias !== undefined) findings.push(biasFinding(labelled, settings, settings.thresholds.bias));
  if (settings.thresholds.auc_margin !== undefined) {
    const promised = await ports.gateMetric(served, "auc");
    findings.push(aucFinding(labelled, settings, settings.thresholds.auc_margin, promised));
  }
  const crossed = findings.filter((finding) => finding.crossed);
  return {
    outcome: crossed.length > 0 ? "crossed" : "kept",
    summary: (crossed.length > 0 ? crossed : findings).map((finding) => finding.sentence).join(" "),
    rows: count,
    served: `${served.model}@${served.version}`,
    results: Object.assign({ predictions: rows, days: labelled.days.values.length }, ...findings.map((f) => f.results)),
  };
}

function aucFinding(
  labelled: Labelled,
  { with: options }: PerformanceSettings,
  margin: number,
  promised: number | undefined,
): Finding {
  const all = { column: "window", values: ["all"], codes: new Int32Array(labelled.rows.score.length) };
  const days = { column: "day", ...labelled.days };
  const [measured] = livePerformance(labelled.rows, all, options.block === "day" ? days : undefined, {
    metric: "auc",
    confidence: options.confidence,
    resamples: options.resamples,
    seed: options.seed,
  });
  const { value = null, lower = null, upper = null } = measured ?? {};
  const limit = promised === undefined ? null : promised - margin;
  const results = { auc: { value, lower, upper, gate: promised ?? null, limit } };
  if (value === null || upper === null) return { crossed: false, sentence: "The AUC does not exist here.", results };
  const seen = `AUC ${value.toFixed(3)} (${lower?.toFixed(3)} to ${upper.toFixed(3)})`;
  if (limit === null || promised === undefined) {
    return {
      crossed: false,
      sentence: `${seen}; no gate measured this version, so there is nothing to hold it to.`,
      results,
    };
  }
  const crossed = upper < limit;
  const held = `${promised.toFixed(3)} at the gate less ${margin}`;
  return { crossed, sentence: `${seen} ${crossed ? "lies below" : "is not clearly below"} ${held}.`, results };
}

function biasFinding(labelled: Labelled, { with: options }: PerformanceSettings, most: number): Finding {
  const { rows, days } = labelled;
  const blocks = options.block === "day" ? { count: days.values.length, codes: days.codes } : undefined;
  const groups = resamplingGroups(rows.score.length, blocks, options.seed);
  const counts = new Float64Array(groups.count);
  const differences = new Float64Array(groups.count);
  let scores = 0;
  let labels = 0;
  for (const [row, score] of rows.score.entries()) {
    const group = groups.of[row] ?? 0;
    const label = rows.target[row] ?? 0;
    counts[group] = (counts[group] ?? 0) + 1;
    differences[group] = (differences[group] ?? 0) + score - label;
    scores += score;
    labels += label;
  }
  const interval: Interval = bootstrapInterval(
    (weights) => {
      let sum = 0;
      let count = 0;
      for (const [group, weight] of weights.entries()) {
        sum += weight * (differences[group] ?? 0);
        count += weight * (counts[group] ?? 0);
      }
      return sum / count;
    },
    groups.count,
    options,
  );
  const { value, lower, upper } = interval;
  const crossed = Math.abs(value) > most && (lower > 0 || upper < 0);
  const meanScore = scores / rows.score.length;
  const meanLabel = labels / rows.score.length;
  return {
    crossed,
    sentence: `The mean score is ${meanScore.toFixed(3)}, the mean label ${meanLabel.toFixed(3)}: a bias of ${signed(value)} (${signed(lower)} to ${signed(upper)}), ${crossed ? "beyond" : "not clearly beyond"} ${most}.`,
    results: { bias: { value, lower, upper, limit: most, meanScore, meanLabel } },
  };
}

async function readLabelled(database: TrafficDatabase): Promise<Labelled> {
  const [size] = await database.rows("SELECT count(*) AS n FROM labelled");
  const score = new Float64Array(Number(size?.n ?? 0));
  const target = new Float64Array(score.length);
  const codes = new Int32Array(score.length);
  const known = new Map<number, number>();
  let row = 0;
  const query =
    "SELECT score, label, CAST(epoch(day) / 86400 AS INTEGER) AS day FROM labelled ORDER BY day, score, label";
  for await (const batch of database.batches(query)) {
    const { score: scores = [], label: labels = [], day: days = [] } = batch;
    for (let index = 0; index < scores.length; index++, row++) {
      score[row] = Number(scores[index]);
      target[row] = Number(labels[index]);
      const day = Number(days[index]);
      if (!known.has(day)) known.set(day, known.size);
      codes[row] = known.get(day) ?? 0;
    }
  }
  const values = [...known.keys()].map((day) => new Date(day * dayMilliseconds).toISOString().slice(0, 10));
  return { rows: { score, target }, days: { values, codes } };
}

function signed(value: number): string {
  return `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(3)}`;
}
