import { dayMilliseconds } from "../monitoring/windows.ts";
import { escapeHtml } from "./markup.ts";

export interface Point {
  /** ms since the epoch. */
  x: number;
  y: number;
  low?: number;
  high?: number;
  /** Drawn as a diamond. */
  alert?: boolean;
  tooltip: string;
}

export interface Series {
  name: string;
  points: Point[];
  /** accent: the main one. faint: shown, never judged. */
  tone: "accent" | "second" | "third" | "faint";
}

export interface Limit {
  name: string;
  /** From left to right; the line runs level between. */
  steps: { from: number; to: number; y: number }[];
}

export interface Mark {
  x: number;
  /** Short, drawn at the top. */
  glyph: string;
  tone: "good" | "bad" | "quiet";
  tooltip: string;
}

export interface Plot {
  title: string;
  caption: string;
  series: Series[];
  limits: Limit[];
  marks: Mark[];
  scale: "linear" | "log";
  format: (value: number) => string;
}

const width = 880;
const height = 250;
const frame = { left: 56, right: 128, top: 26, bottom: 30 };

/** One inline SVG over time: series with their intervals, limits as dashed lines, events as vertical marks. */
export function drawPlot(plot: Plot): string {
  const points = plot.series.flatMap((series) => series.points);
  if (points.length === 0) return "";
  const x = scaleX(points, plot.marks);
  const y = scaleY(plot, points);
  const parts = [
    ...gridLines(plot, y),
    ...monthLines(x),
    ...plot.marks.map((mark) => drawMark(mark, x.at)),
    ...plot.limits.flatMap((limit) => drawLimit(limit, x.at, y.at)),
    ...plot.series.toReversed().map((series) => drawSeries(series, x.at, y.at)),
    ...drawNames(plot, y.at),
  ];
  return `<figure><figcaption><b>${escapeHtml(plot.title)}</b> ${escapeHtml(plot.caption)}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(plot.title)}">${parts.join("")}</svg></figure>`;
}

interface Scale {
  at: (value: number) => number;
  low: number;
  high: number;
}

function scaleX(points: readonly Point[], marks: readonly Mark[]): Scale {
  const all = [...points, ...marks].map((point) => point.x);
  const low = Math.min(...all) - 5 * dayMilliseconds;
  const high = Math.max(...all) + 3 * dayMilliseconds;
  const span = width - frame.left - frame.right;
  return { low, high, at: (value) => frame.left + (span * (value - low)) / (high - low) };
}

function scaleY(plot: Plot, points: readonly Point[]): Scale {
  const values = [
    ...points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]),
    ...plot.limits.flatMap((limit) => limit.steps.map((step) => step.y)),
  ];
  const span = height - frame.top - frame.bottom;
  if (plot.scale === "log") {
    const positive = values.filter((value) => value > 0);
    const low = Math.log10(Math.max(1e-4, Math.min(1, ...positive)));
    const high = Math.max(low + 1, Math.log10(1.3 * Math.max(1e-4, ...positive)));
    const at = (value: number): number =>
      frame.top + span * (1 - (Math.log10(Math.max(10 ** low, value)) - low) / (high - low));
    return { low: 10 ** low, high: 10 ** high, at };
  }
  const margin = 0.08 * (Math.max(...values) - Math.min(...values) || 1);
  const low = Math.min(...values) - margin;
  const high = Math.max(...values) + margin;
  return { low, high, at: (value) => frame.top + span * (1 - (value - low) / (high - low)) };
}

function gridLines(plot: Plot, y: Scale): string[] {
  const values = plot.scale === "log" ? powersOfTen(y.low, y.high) : niceTicks(y.low, y.high);
  return values.map(
    (value) =>
      `<line class="grid" x1="${frame.left}" x2="${width - frame.right}" y1="${round(y.at(value))}" y2="${round(y.at(value))}"/><text class="axis" x="${frame.left - 8}" y="${round(y.at(value) + 4)}" text-anchor="end">${plot.format(value)}</text>`,
  );
}

function powersOfTen(low: number, high: number): number[] {
  const values: number[] = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); 10 ** power <= high; power++) values.push(10 ** power);
  return values;
}

function niceTicks(low: number, high: number): number[] {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? rough;
  const values: number[] = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step)
    values.push(Number(value.toPrecision(6)));
  return values;
}

function monthLines(x: Scale): string[] {
  const lines: string[] = [];
  const first = new Date(x.low);
  for (let month = first.getUTCMonth(); ; month++) {
    const start = Date.UTC(first.getUTCFullYear(), month, 1);
    if (start > x.high) return lines;
    if (start < x.low) continue;
    const label = new Date(start).toLocaleString("en-US", { month: "short", year: "numeric", timeZone: "UTC" });
    const at = round(x.at(start));
    lines.push(
      `<line class="tick" x1="${at}" x2="${at}" y1="${height - frame.bottom}" y2="${height - frame.bottom + 5}"/><text class="axis" x="${at}" y="${height - 8}" text-anchor="start">${label}</text>`,
    );
  }
}

function drawMark(mark: Mark, x: Scale["at"]): string {
  const at = round(x(mark.x));
  return `<g class="mark ${mark.tone}"><title>${escapeHtml(mark.tooltip)}</title><line x1="${at}" x2="${at}" y1="${frame.top - 6}" y2="${height - frame.bottom}"/><circle cx="${at}" cy="${frame.top - 14}" r="9"/><text x="${at}" y="${frame.top - 10}" text-anchor="middle">${escapeHtml(mark.glyph)}</text></g>`;
}

function drawLimit(limit: Limit, x: Scale["at"], y: Scale["at"]): string[] {
  return limit.steps.map(
    (step) =>
      `<line class="limit" x1="${round(x(step.from))}" x2="${round(x(step.to))}" y1="${round(y(step.y))}" y2="${round(y(step.y))}"/>`,
  );
}

function drawSeries(series: Series, x: Scale["at"], y: Scale["at"]): string {
  const line = series.points.map((point) => `${round(x(point.x))},${round(y(point.y))}`).join(" ");
  const banded = series.points.filter((point) => point.low !== undefined && point.high !== undefined);
  const upper = banded.map((point) => `${round(x(point.x))},${round(y(point.high ?? point.y))}`);
  const lower = banded.map((point) => `${round(x(point.x))},${round(y(point.low ?? point.y))}`).toReversed();
  const band = banded.length < 2 ? "" : `<polygon class="band" points="${[...upper, ...lower].join(" ")}"/>`;
  const dots = series.points.map((point) => {
    const [cx, cy] = [round(x(point.x)), round(y(point.y))];
    const shape =
      point.alert === true
        ? `<path class="alert" d="M${cx} ${cy - 6}l6 6l-6 6l-6 -6z"/>`
        : `<circle cx="${cx}" cy="${cy}" r="${series.tone === "faint" ? 1.6 : 3}"/>`;
    return `<g class="dot"><title>${escapeHtml(point.tooltip)}</title>${shape}</g>`;
  });
  return `<g class="series ${series.tone}">${band}<polyline points="${line}"/>${dots.join("")}</g>`;
}

/** Names at the right end of what they name, pushed apart where they would overlap. */
function drawNames(plot: Plot, y: Scale["at"]): string[] {
  const names = [
    ...plot.series.map((series) => ({
      text: series.name,
      tone: `name ${series.tone}`,
      at: y(series.points.at(-1)?.y ?? 0),
    })),
    ...plot.limits.map((limit) => ({ text: limit.name, tone: "name limit", at: y(limit.steps.at(-1)?.y ?? 0) })),
  ].sort((a, b) => a.at - b.at);
  let last = Number.NEGATIVE_INFINITY;
  return names.map(({ text, tone, at }) => {
    last = Math.max(at, last + 14);
    return `<text class="${tone}" x="${width - frame.right + 8}" y="${round(last + 4)}">${escapeHtml(text)}</text>`;
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
