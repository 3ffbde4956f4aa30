import type { Json } from "@espalier/core";
import { dayMilliseconds } from "../monitoring/windows.ts";
import type { Limit, Mark, Plot, Point, Series } from "./plot.ts";
import type { MonitorStory, Retraining, RetrainingOutcome, Window } from "./story.ts";
import { decimal, member, numberIn, signed, text } from "./words.ts";

const glyphs: Readonly<Record<RetrainingOutcome, { glyph: string; tone: Mark["tone"] }>> = {
  "rolled out": { glyph: "✓", tone: "good" },
  "under way": { glyph: "…", tone: "good" },
  "rolled back": { glyph: "↩", tone: "bad" },
  refused: { glyph: "✕", tone: "bad" },
  failed: { glyph: "!", tone: "bad" },
  unchanged: { glyph: "=", tone: "quiet" },
};

/** The plots of one monitor: what it measured by window, and when models were retrained. */
export function monitorPlots(monitor: MonitorStory, retrainings: readonly Retraining[]): Plot[] {
  const windows = monitor.windows.filter((window) => window.status !== "insufficient");
  if (windows.length === 0) return [];
  const marks = retrainings.map(
    (one): Mark => ({
      x: Date.parse(one.date),
      ...glyphs[one.outcome],
      tooltip: `${one.date}, retraining by ${one.trigger}: ${one.outcome}. ${one.sentence}`,
    }),
  );
  const plots = [aucPlot(monitor, windows), biasPlot(monitor, windows), driftPlot(monitor, windows)];
  return plots.filter((plot) => plot !== undefined).map((plot) => ({ ...plot, marks }));
}

type Bare = Omit<Plot, "marks">;

function aucPlot(monitor: MonitorStory, windows: Window[]): Bare | undefined {
  const measured = windows.filter((window) => numberIn(member(window.results, "auc"), "value") !== undefined);
  if (measured.length === 0) return undefined;
  const limits = [
    stepLimit("at the gate", measured, (results) => numberIn(member(results, "auc"), "gate")),
    stepLimit("less the margin", measured, (results) => numberIn(member(results, "auc"), "limit")),
  ];
  return {
    title: `Live AUC by window (${monitor.name})`,
    caption: "with its interval, days resampled as wholes; dashed: what the gate measured, and the limit",
    series: [{ name: "live AUC", tone: "accent", points: measured.map((window) => intervalPoint(window, "auc")) }],
    limits: limits.filter((limit) => limit.steps.length > 0),
    scale: "linear",
    format: (value) => decimal(value, 2),
  };
}

function biasPlot(monitor: MonitorStory, windows: Window[]): Bare | undefined {
  const measured = windows.filter((window) => numberIn(member(window.results, "bias"), "value") !== undefined);
  if (measured.length === 0) return undefined;
  const limit = (sign: number) => (results: Json) => {
    const most = numberIn(member(results, "bias"), "limit");
    return most === undefined ? undefined : sign * most;
  };
  return {
    title: `Mean score less mean label by window (${monitor.name})`,
    caption: "above 0 the model expects too many; with its interval, days resampled as wholes",
    series: [{ name: "bias", tone: "accent", points: measured.map((window) => intervalPoint(window, "bias")) }],
    limits: [stepLimit("limit", measured, limit(1)), stepLimit("limit", measured, limit(-1))],
    scale: "linear",
    format: (value) => signed(value, 2),
  };
}

function driftPlot(monitor: MonitorStory, windows: Window[]): Bare | undefined {
  const columns = new Map<string, Series>();
  const tones: Series["tone"][] = ["accent", "second", "third"];
  for (const window of windows) {
    const listed = member(window.results, "columns");
    if (!Array.isArray(listed)) continue;
    for (const column of listed as Json[]) {
      const psi = numberIn(member(column, "measures"), "psi");
      if (psi === undefined) continue;
      const name = text(member(column, "column"));
      const judged = member(column, "outcome") !== "not_judged";
      const known = columns.get(name);
      const taken = [...columns.values()].filter((series) => series.tone !== "faint").length;
      const series = known ?? { name, tone: judged ? (tones[taken] ?? "third") : ("faint" as const), points: [] };
      columns.set(name, series);
      series.points.push({
        x: middle(window),
        y: Math.max(psi, 1e-4),
        alert: window.status === "alert" && member(column, "outcome") === "drifted",
        tooltip: `${window.from} to ${window.to}: psi of ${name} ${psi.toPrecision(2)}${judged ? "" : " (shown, not judged)"}`,
      });
    }
  }
  const threshold = numberIn(monitor.thresholds, "psi");
  if (columns.size === 0) return undefined;
  return {
    title: `Drift of inputs by window (${monitor.name})`,
    caption:
      "population stability index against the serving version's training rows, like with like; log scale; faint: shown, never judged",
    series: [...columns.values()],
    limits: threshold === undefined ? [] : [stepLimit("threshold", windows, () => threshold)],
    scale: "log",
    format: (value) => String(Number(value.toPrecision(1))),
  };
}

function intervalPoint(window: Window, name: string): Point {
  const measured = member(window.results, name);
  const low = numberIn(measured, "lower");
  const high = numberIn(measured, "upper");
  return {
    x: middle(window),
    y: numberIn(measured, "value") ?? 0,
    ...(low === undefined ? {} : { low }),
    ...(high === undefined ? {} : { high }),
    alert: window.status === "alert",
    tooltip: `${window.from} to ${window.to}, ${window.served ?? ""}: ${window.summary} ${window.action ?? ""}`.trim(),
  };
}

function stepLimit(name: string, windows: Window[], of: (results: Json) => number | undefined): Limit {
  const steps = windows.flatMap((window) => {
    const y = of(window.results);
    return y === undefined ? [] : [{ from: Date.parse(window.from), to: Date.parse(window.to), y }];
  });
  return { name, steps };
}

function middle(window: Window): number {
  return (Date.parse(window.from) + Date.parse(window.to) - dayMilliseconds) / 2 + dayMilliseconds / 2;
}
