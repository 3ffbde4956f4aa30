import { escapeHtml } from "./markup.ts";
import type { GateDecision } from "./story.ts";
import { decimal, percent, signed } from "./words.ts";

const width = 880;
const rowHeight = 34;
const frame = { left: 210, right: 190, top: 30, bottom: 8 };

/** Each decision as its interval: it had to lie wholly to the right of the dashed line. */
export function drawGates(gates: readonly GateDecision[]): string {
  const measured = gates.filter((gate) => gate.difference !== undefined && gate.comparedWith === "champion");
  if (measured.length === 0) return "";
  const values = measured.flatMap((gate) => [
    gate.difference?.lower ?? 0,
    gate.difference?.upper ?? 0,
    -gate.margin,
    0,
  ]);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const pad = 0.06 * (high - low || 1);
  const span = width - frame.left - frame.right;
  const x = (value: number): number =>
    Math.round((frame.left + (span * (value - low + pad)) / (high - low + 2 * pad)) * 10) / 10;
  const height = frame.top + measured.length * rowHeight + frame.bottom;
  const margin = measured[0]?.margin ?? 0;
  const rows = measured.map((gate, index) => drawRow(gate, frame.top + (index + 0.5) * rowHeight, x));
  return `<figure><figcaption><b>Candidate less champion</b> on the same rows, ${percent(measured[0]?.confidence ?? 0.95, 0)} interval, days resampled as wholes; the whole interval must lie right of the dashed line (the margin)</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Decisions of the gate"><line class="tick" x1="${x(0)}" x2="${x(0)}" y1="${frame.top - 8}" y2="${height}"/><text class="axis" x="${x(0)}" y="14" text-anchor="start">0</text><line class="limit" x1="${x(-margin)}" x2="${x(-margin)}" y1="${frame.top - 8}" y2="${height}"/><text class="name limit" x="${x(-margin)}" y="14" text-anchor="end">${decimal(-margin)} </text>${rows.join("")}</svg></figure>`;
}

function drawRow(gate: GateDecision, y: number, x: (value: number) => number): string {
  const { value, lower, upper } = gate.difference ?? { value: 0, lower: 0, upper: 0 };
  const tone = gate.allowed ? "good" : "bad";
  const label = `${gate.date ?? "by hand"}  ${gate.candidate}`;
  const said = `${gate.allowed ? "let through" : gate.outcome}, ${signed(value)}`;
  return `<g class="gate ${tone}"><title>${escapeHtml(gate.reasons.join(" "))}</title><text class="axis" x="0" y="${y + 4}">${escapeHtml(label)}</text><line x1="${x(lower)}" x2="${x(upper)}" y1="${y}" y2="${y}"/><circle cx="${x(value)}" cy="${y}" r="4.5"/><text class="said" x="${width - frame.right + 10}" y="${y + 4}">${escapeHtml(said)}</text></g>`;
}
