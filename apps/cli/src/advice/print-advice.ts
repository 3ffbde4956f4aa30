import { type Advice, type Ranked, type Reason, rangeText, type WholeAdvice } from "@espalier/core";
import colors from "picocolors";
import { printLine, printTable } from "../terminal/output.ts";

/** The answer first, then milestone by milestone what it rests on. */
export function printAdvice(whole: WholeAdvice, showAll: boolean): void {
  printLine(colors.bold(whole.sentence));
  printLine("");
  printTable(
    ["", "milestone", "tool", "", "points", "runner-up", "points", "without the weight on skills"],
    whole.advice.map((advice) => [
      advice.place.milestone,
      advice.place.title,
      advice.choice.candidate.name,
      `${advice.verdict}${advice.isCloseCall ? ", close call" : ""}`,
      points(advice.choice),
      advice.runnerUp?.candidate.name ?? "",
      advice.runnerUp === undefined ? "" : points(advice.runnerUp),
      sameWithoutSkills(advice) ? "the same" : (advice.withoutSkills.ranked[0]?.candidate.name ?? ""),
    ]),
  );
  for (const advice of whole.advice) for (const line of linesOf(advice, showAll)) printLine(line);
  printLine("");
  printLine(
    `to learn: ${rangeText(whole.learningHours)} hours; to run it: ${rangeText(whole.hoursAMonth)} hours and ${rangeText(whole.dollarsAMonth)} $ a month`,
  );
  for (const warning of whole.warnings) printLine(`${colors.yellow("mind")} ${warning}`);
}

const points = ({ score }: Ranked): string => score.toFixed(1);

export function sameWithoutSkills({ choice, withoutSkills }: Advice): boolean {
  return withoutSkills.ranked[0]?.candidate.name === choice.candidate.name;
}

function linesOf(advice: Advice, showAll: boolean): string[] {
  const { place, choice, runnerUp, ranking, learning, gaps, flip } = advice;
  if (!showAll && choice.candidate.provider === "embedded" && runnerUp === undefined) return [];
  const lines = ["", colors.bold(`${place.milestone} ${place.title}: ${choice.candidate.name}`)];
  const reasons = showAll ? choice.reasons : decisive(choice, runnerUp);
  for (const reason of reasons) lines.push(`  ${reasonLine(reason)}`);
  if (runnerUp !== undefined) {
    const against = showAll ? runnerUp.reasons : decisive(runnerUp, choice);
    const head = against.length === 0 ? "is as good by every criterion" : "instead:";
    lines.push(`  ${colors.dim(`${runnerUp.candidate.name} ${head}`)}`);
    for (const reason of against) lines.push(`    ${colors.dim(reasonLine(reason))}`);
  }
  for (const { candidate, exclusions } of ranking.excluded) {
    lines.push(
      `  ${colors.red("out")} ${exclusions.map(({ because, at }) => `${because} (${at})`).join("; ")}${exclusions.length === 0 ? candidate.name : ""}`,
    );
  }
  for (const { skill, hours, source } of learning)
    lines.push(`  learn ${skill}: ${rangeText(hours)} hours (${source})`);
  for (const { skill, people } of gaps) {
    lines.push(
      `  ${colors.yellow("gap")} ${skill}: ${people.length === 0 ? "nobody" : `only ${people[0]}`} could repair it alone at night`,
    );
  }
  if (
    choice.candidate.ownership !== undefined &&
    choice.candidate.kind === "tool" &&
    choice.candidate.provider !== "embedded"
  ) {
    const { source, asOf, wayOut } = choice.candidate.ownership;
    lines.push(
      `  owning it: ${rangeText(advice.setUpHours)} hours to set up, then ${rangeText(advice.hoursAMonth)} hours and ${rangeText(advice.dollarsAMonth)} $ a month (${source}, ${asOf})`,
    );
    lines.push(`  the way out: ${wayOut}`);
  }
  lines.push(
    flip === undefined
      ? "  no single answer that was tried would change this"
      : `  ${colors.cyan("flips")} ${flip.sentence} (${flip.at})`,
  );
  return lines;
}

/** The three criteria that set two candidates furthest apart: where both are equal, nothing was decided. */
function decisive(one: Ranked, other: Ranked | undefined): Reason[] {
  if (other === undefined) return one.reasons.slice(0, 1);
  const apart = (reason: Reason): number =>
    Math.abs(reason.points - (other.reasons.find(({ criterion }) => criterion === reason.criterion)?.points ?? 0));
  return [...one.reasons]
    .sort((a, b) => apart(b) - apart(a))
    .filter((reason) => apart(reason) > 0.5)
    .slice(0, 3);
}

function reasonLine({ criterion, points: earned, weight, because, at }: Reason): string {
  return `${criterion} ${earned.toFixed(1)}/${weight.toFixed(0)}: ${because}${at.length === 0 ? "" : ` (${at.join(", ")})`}`;
}
