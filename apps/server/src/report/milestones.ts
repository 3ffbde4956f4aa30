import type { Json, JsonObject } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { StoredSimulation } from "../simulation/simulations.ts";
import { documentOf, type Facts, metricOf, type RunFacts, stepsUsing } from "./facts.ts";
import type { GateDecision, Milestone, MonitorStory, Retraining, SampleTable } from "./story.ts";
import { count, decimal, member, numberIn, percent, plural, shortDigest, text } from "./words.ts";

interface Told {
  facts: Facts;
  gates: GateDecision[];
  monitors: MonitorStory[];
  retrainings: Retraining[];
}

/** What happened at each of the thirteen milestones. */
export async function milestoneStory(plane: ControlPlane, told: Told): Promise<Milestone[]> {
  const { facts, gates, monitors, retrainings } = told;
  const first = facts.runs.find((of) => stepsUsing(of, "gate").length > 0);
  const told1 = await datasetLines(plane, facts);
  const parts: [string, string[]][] = [
    ["Version data", told1],
    ["Validate data", validationLines(facts.runs.find((of) => stepsUsing(of, "validate").length > 0))],
    ["Build features", first === undefined ? [] : featureLines(first)],
    ["Orchestrate", await orchestrationLines(plane, facts)],
    ["Train and tune", facts.runs.flatMap(trainingLine).slice(0, 12)],
    ["Track experiments", trackingLines(facts)],
    ["Evaluate", [...(first === undefined ? [] : evaluationLines(first)), ...gateSummary(gates)]],
    ["Register models", await modelLines(plane)],
    ["Package", packageLines(facts)],
    ["Deliver", deliveryLines(retrainings)],
    ["Deploy and serve", [...facts.rollouts.map(rolloutLine), ...(await trafficLines(plane))]],
    ["Monitor", monitors.map(monitorLine)],
    ["Retrain", retrainings.map((one) => `${one.date}, by ${one.trigger}: ${one.outcome}. ${one.sentence}`)],
  ];
  return parts.map(([title, lines], index) => ({ number: index + 1, title, lines }));
}

async function datasetLines({ record }: ControlPlane, facts: Facts): Promise<string[]> {
  const lines: string[] = [];
  for (const { name } of (await record.datasets.list({ limit: 20 })).items) {
    for (const version of (await record.datasets.versions(name, { limit: 20 })).items.toReversed()) {
      const reader = facts.runs.find((of) => text(documentOf(of, "dataset", "version")?.digest) === version.digest);
      const rows = reader === undefined ? undefined : numberIn(documentOf(reader, "validate", "report"), "rows");
      const size = version.artifact === undefined ? "by reference" : `${(version.artifact.size / 1e6).toFixed(1)} MB`;
      lines.push(
        `${name}@${version.version}: ${rows === undefined ? size : `${count(rows)} rows, ${size}`}, ${shortDigest(version.digest)}.`,
      );
    }
  }
  return lines;
}

function validationLines(of: RunFacts | undefined): string[] {
  const report = of === undefined ? undefined : documentOf(of, "validate", "report");
  const results = report?.results;
  if (report === undefined || !Array.isArray(results)) return [];
  const broken = results.filter((result) => member(result, "passed") === false);
  return [
    `${plural(results.length, "rule")} on ${count(numberIn(report, "rows") ?? 0)} rows: ${plural(numberIn(report, "quarantined") ?? 0, "row")} quarantined${report.passed === true ? "; the run went on, as the rules say" : ""}.`,
    ...broken.map(
      (rule) =>
        `${text(member(rule, "severity"))}: ${text(member(rule, "rule"))}: ${count(numberIn(rule, "failed") ?? 0)} of ${count(numberIn(rule, "checked") ?? 0)} rows.`,
    ),
  ];
}

/** Sample rows of the rules that found something. */
export function validationSamples(facts: Facts): SampleTable[] {
  const of = facts.runs.find((run) => stepsUsing(run, "validate").length > 0);
  const results = of === undefined ? undefined : documentOf(of, "validate", "report")?.results;
  if (!Array.isArray(results)) return [];
  return results.flatMap((rule) => {
    const samples = member(rule, "samples");
    if (!Array.isArray(samples) || samples.length === 0) return [];
    const shown = samples.slice(0, 5);
    const columns = Object.keys((member(shown[0], "values") ?? {}) as JsonObject);
    const rows = shown.map((sample) => [
      text(member(sample, "row")),
      ...columns.map((column) => text(member(member(sample, "values"), column))),
    ]);
    return [
      {
        title: `${text(member(rule, "rule"))} (${text(member(rule, "severity"))})`,
        columns: ["row", ...columns],
        rows,
      },
    ];
  });
}

function featureLines(of: RunFacts): string[] {
  return stepsUsing(of, "sql").map((step) => {
    const tables = of.metrics
      .filter((metric) => metric.stepName === step.step && metric.key.startsWith("rows."))
      .map((metric) => `${metric.key.slice(5)} ${count(Number(metric.value))} rows`);
    const script = of.run.pipeline.steps[step.step]?.inputs?.script ?? "";
    return `${script}: ${tables.join(", ")}.`;
  });
}

async function orchestrationLines({ record }: ControlPlane, facts: Facts): Promise<string[]> {
  const totals: Record<string, number> = {};
  for (const { run } of facts.runs) {
    for (const [state, number] of Object.entries(await record.runs.counts(run.id))) {
      totals[state] = (totals[state] ?? 0) + (number ?? 0);
    }
  }
  const states = Object.entries(totals).map(([state, number]) => `${count(number)} ${state}`);
  return facts.runs.length === 0 ? [] : [`${plural(facts.runs.length, "run")}; of their steps ${states.join(", ")}.`];
}

function trainingLine(of: RunFacts): string[] {
  const { run, steps } = of;
  return steps.flatMap((step) => {
    const isModel = Object.values(step.outputs ?? {}).some((output) => output.type === "model");
    const own = run.pipeline.steps[step.step]?.run !== undefined;
    if (!isModel || !own || (step.state !== "succeeded" && step.state !== "cached")) return [];
    const auc = metricOf(of, step.step, "train.auc");
    const [digest] = Object.values(step.outputs ?? {}).map((output) => output.digest);
    const broken = run.params.break_feature === true ? ", on a broken feature, on purpose" : "";
    const about = run.logicalDate === undefined ? "by hand" : `for ${run.logicalDate.slice(0, 10)}`;
    const result = auc === undefined ? "" : `, AUC on its own rows ${decimal(auc)}`;
    return [`${about}${broken}: ${shortDigest(digest ?? "")}${result}${step.state === "cached" ? " (cached)" : ""}.`];
  });
}

function trackingLines({ runs }: Facts): string[] {
  const values = runs.reduce((sum, of) => sum + of.metrics.length, 0);
  const keys = new Set(runs.flatMap((of) => of.metrics.map((metric) => `${metric.stepName}/${metric.key}`)));
  return values === 0
    ? []
    : [`${count(values)} values of ${plural(keys.size, "metric")} over ${plural(runs.length, "run")}.`];
}

function evaluationLines(of: RunFacts): string[] {
  const report = documentOf(of, "evaluate", "report");
  const metrics = member(report, "metrics");
  const auc = numberIn(metrics, "auc");
  if (report === undefined || auc === undefined) return [];
  const calibration = numberIn(member(report, "calibration"), "error");
  const lines = [
    `The first candidate on ${count(numberIn(report, "rows") ?? 0)} later rows: AUC ${decimal(auc)}, log loss ${decimal(numberIn(metrics, "log_loss") ?? 0)}, calibration error ${percent(calibration ?? 0)}.`,
  ];
  const slices = (Array.isArray(report.slices) ? report.slices : []).filter(
    (slice) => numberIn(member(slice, "metrics"), "auc") !== undefined && (numberIn(slice, "rows") ?? 0) >= 2000,
  );
  const byAuc = slices.sort((a, b) => aucOf(a) - aucOf(b));
  const [worst, best] = [byAuc[0], byAuc.at(-1)];
  if (worst !== undefined && best !== undefined) {
    lines.push(
      `Of the slices with 2,000 rows or more, ${sliceName(worst)} is ranked worst and ${sliceName(best)} best.`,
    );
  }
  const importance = importanceLine(report);
  return importance === undefined ? lines : [...lines, importance];
}

/** The columns that the candidate leans on most, with the loss of the metric when one is shuffled. */
function importanceLine(report: JsonObject): string | undefined {
  const importance = member(report, "importance");
  const columns = member(importance, "columns");
  const shown = (Array.isArray(columns) ? columns : []).slice(0, 5).flatMap((column) => {
    const loss = numberIn(column, "loss");
    const deviation = numberIn(column, "deviation");
    if (loss === undefined) return [];
    const about = deviation === undefined ? "" : ` ± ${decimal(deviation)}`;
    return [`${text(member(column, "column"))} (${decimal(loss)}${about})`];
  });
  if (shown.length === 0) return undefined;
  const metric = text(member(importance, "metric")) === "auc" ? "AUC" : text(member(importance, "metric"));
  const rows = count(numberIn(importance, "rows") ?? 0);
  return `It leans most on ${shown.join(", ")}: the loss of ${metric} on ${rows} rows when the column is shuffled.`;
}

function aucOf(slice: Json): number {
  return numberIn(member(slice, "metrics"), "auc") ?? 0;
}

function sliceName(slice: Json): string {
  return `${text(member(slice, "column"))} ${text(member(slice, "value"))} (AUC ${decimal(aucOf(slice))}, ${count(numberIn(slice, "rows") ?? 0)} rows)`;
}

function gateSummary(gates: GateDecision[]): string[] {
  if (gates.length === 0) return [];
  const passed = gates.filter((gate) => gate.allowed).length;
  return [`The gate judged ${plural(gates.length, "candidate")}: ${passed} let through, ${gates.length - passed} not.`];
}

async function modelLines({ record }: ControlPlane): Promise<string[]> {
  const lines: string[] = [];
  for (const model of (await record.models.list({ limit: 20 })).items) {
    for (const version of (await record.models.versions(model.name, { limit: 20 })).items.toReversed()) {
      const aliases = version.aliases.length === 0 ? "" : `, ${version.aliases.map((alias) => `@${alias}`).join(" ")}`;
      const judged = version.verdictId === undefined ? "not judged by a gate" : "passed the gate";
      const content = version.digest === undefined ? "by address" : shortDigest(version.digest);
      lines.push(`${model.name}@${version.version}: ${judged}, ${content}${aliases}.`);
    }
  }
  return lines;
}

function packageLines({ runs }: Facts): string[] {
  const lines = runs.flatMap((of) => {
    const image = documentOf(of, "package", "image");
    return image === undefined
      ? []
      : [`${text(image.repository)}:${text(image.tag)} as an OCI artifact, ${shortDigest(text(image.digest))}.`];
  });
  return [...new Set(lines)];
}

function deliveryLines(retrainings: Retraining[]): string[] {
  if (retrainings.length === 0) return [];
  const out = retrainings.filter((one) => one.outcome === "rolled out").length;
  return [
    `Local: the pipeline that was run by hand is the one that schedule and monitors ran; ${plural(out, "version")} reached the endpoint without a hand, each through the gate and a canary.`,
  ];
}

function rolloutLine(rollout: Facts["rollouts"][number]): string {
  const ended = rollout.state === "succeeded" ? "has all traffic" : rollout.state.replace("_", " ");
  return `${rollout.model}@${rollout.toVersion} on ${rollout.endpoint}, ${rollout.strategy}: ${ended}. ${rollout.reason ?? ""}`;
}

async function trafficLines({ record }: ControlPlane): Promise<string[]> {
  const [newest] = (await record.simulations.list({ limit: 1 })).items;
  const stored = newest?.progress as unknown as StoredSimulation | undefined;
  const progress = stored?.progress;
  if (stored === undefined || progress === undefined) return [];
  return [
    `Simulated traffic from ${stored.file.from} to ${stored.file.to}: ${count(progress.rows)} rows in ${plural(progress.requests, "request")} (${percent(stored.file.single_share, 0)} of the rows one by one), ${plural(progress.errors, "error")}.`,
  ];
}

function monitorLine(monitor: MonitorStory): string {
  const alerts = monitor.windows.filter((window) => window.status === "alert");
  const judged = plural(monitor.windows.length, "window");
  if (monitor.windows.length === 0) return `${monitor.name}: nothing judged yet.`;
  if (alerts.length === 0) return `${monitor.name} (${monitor.kind}): ${judged}, no alert.`;
  const [first] = alerts;
  const told = `The first, ${first?.from} to ${first?.to}: ${first?.summary} ${first?.action ?? ""}`.trim();
  return `${monitor.name} (${monitor.kind}): ${judged}, ${plural(alerts.length, "alert")}. ${told}`;
}
