import { type Answers, EspalierError, rangeText, type WholeAdvice } from "@espalier/core";
import { stackText } from "@espalier/host";
import { sameWithoutSkills } from "./print-advice.ts";

/** What a later `--review` holds the ledger against. */
export interface Forecast {
  format: 1;
  date: string;
  outcome: string;
  work: Answers["work"];
  dollarsAMonth: readonly [number, number];
  hoursAMonth: readonly [number, number];
  choices: { component: string; tool: string }[];
}

const fence = "```";

/** A decision to commit: what was chosen, on which answers, and what would change it. */
export function decisionRecord(whole: WholeAdvice, answers: Answers, date: string, stackName: string): string {
  const forecast: Forecast = {
    format: 1,
    date,
    outcome: whole.outcome,
    work: answers.work,
    dollarsAMonth: whole.dollarsAMonth,
    hoursAMonth: whole.hoursAMonth,
    choices: whole.advice.map(({ place, choice }) => ({ component: place.component, tool: choice.candidate.name })),
  };
  const lines = [
    `# ${date}: the tools of this project`,
    "",
    whole.sentence,
    "",
    "| milestone | tool | runner-up | why | what would change it |",
    "| --- | --- | --- | --- | --- |",
    ...whole.advice.map((advice) => {
      const { place, choice, runnerUp, flip, verdict, isCloseCall } = advice;
      const best = [...choice.reasons].sort((a, b) => b.weight - b.points - (a.weight - a.points))[0];
      const skills = sameWithoutSkills(advice)
        ? ""
        : ` Without the weight on skills: ${advice.withoutSkills.ranked[0]?.candidate.name}.`;
      return `| ${[
        `${place.milestone} ${place.title}`,
        `${choice.candidate.name} (${verdict}${isCloseCall ? ", close call" : ""}, ${choice.score.toFixed(1)})`,
        runnerUp === undefined ? "none" : `${runnerUp.candidate.name} (${runnerUp.score.toFixed(1)})`,
        `${advice.ranking.excluded.flatMap(({ exclusions }) => exclusions.map(({ because }) => `${because}. `)).join("")}${choice.reasons.length === 1 ? "" : "weakest point: "}${best?.because ?? ""}.${skills}`,
        flip?.sentence ?? "no single answer that was tried",
      ]
        .map((cell) => cell.replaceAll("|", "\\|"))
        .join(" | ")} |`;
    }),
    "",
    `To learn: ${rangeText(whole.learningHours)} hours. To run it: ${rangeText(whole.hoursAMonth)} hours and ${rangeText(whole.dollarsAMonth)} $ a month.`,
    "",
    ...whole.warnings.map((warning) => `- ${warning}`),
    "",
    "## The stack",
    "",
    `${fence}yaml`,
    stackText(stackName, whole).trimEnd(),
    fence,
    "",
    "## The forecast",
    "",
    "`espalier advise --review` holds what the record tells against this.",
    "",
    `${fence}json`,
    JSON.stringify(forecast, undefined, 2),
    fence,
    "",
  ];
  return lines.join("\n");
}

/** Errors: INVALID_INPUT when the file holds no forecast. */
export function readForecast(text: string, file: string): Forecast {
  const block = text.match(/```json\n([\s\S]*?)\n```/)?.[1];
  try {
    const forecast = JSON.parse(block ?? "") as Forecast;
    if (forecast.format === 1 && typeof forecast.date === "string" && typeof forecast.work === "object")
      return forecast;
  } catch (error) {
    throw noForecast(file, error);
  }
  throw noForecast(file);
}

function noForecast(file: string, cause?: unknown): EspalierError {
  return new EspalierError("INVALID_INPUT", `${file} holds no forecast that can be read`, {
    at: file,
    hint: "Give a record that `espalier advise --record` wrote.",
    cause,
  });
}
