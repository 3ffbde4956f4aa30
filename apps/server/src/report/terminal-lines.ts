import type { GateDecision, LineageStep, Story } from "./story.ts";
import { decimal, percent, signed } from "./words.ts";

/** The story as plain lines, for a terminal. */
export function terminalLines(story: Story): string[] {
  return [
    `${story.project}: what happened at each milestone`,
    ...story.headline,
    "",
    ...story.milestones.flatMap(({ number, title, lines }) => [
      `${String(number).padStart(2)} ${title.padEnd(18)} ${lines[0] ?? "nothing yet"}`,
      ...lines.slice(1).map((line) => `${" ".repeat(22)}${line}`),
    ]),
    ...section(
      "Decisions of the gate",
      story.gates.map((gate) => `${gate.date ?? "by hand"}  ${gate.candidate}  ${gateSentence(gate)}`),
    ),
    ...section("From one prediction back to its rows", story.lineage.map(lineageLine)),
  ];
}

function gateSentence(gate: GateDecision): string {
  const outcome = gate.allowed
    ? "let through"
    : gate.outcome === "refused"
      ? "refused"
      : `not let through (${gate.outcome})`;
  if (gate.difference === undefined) return `${outcome}: ${gate.reasons[0] ?? ""}`;
  const { value, lower, upper } = gate.difference;
  const measured = gate.value === undefined ? "" : `${gate.metric} ${decimal(gate.value)}, `;
  return `${outcome}: ${measured}${signed(value)} against the ${gate.comparedWith}, interval ${signed(lower)} to ${signed(upper)} at ${percent(gate.confidence, 0)}${gate.blocks === undefined ? "" : `, ${gate.blocks}`}`;
}

function lineageLine({ kind, title, detail }: LineageStep): string {
  return `${kind.padEnd(11)} ${title}  ${detail}`;
}

function section(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)];
}
