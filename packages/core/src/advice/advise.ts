import { EspalierError } from "../errors.ts";
import { type Answers, levelOf, repairersOf } from "./answers.ts";
import { type Place, places } from "./candidates.ts";
import { contradictions } from "./contradictions.ts";
import { type Flip, flipOf } from "./flip.ts";
import { misfitsOf, requireKnownNames } from "./known-names.ts";
import { monthlyDollars } from "./money.ts";
import type { Range } from "./ownership.ts";
import { type Ranked, type Ranking, type RankOptions, rank } from "./rank.ts";
import { hoursToLearn, skills } from "./skills.ts";

export type Verdict = "keep" | "none yet" | "use" | "own script";

export interface Learning {
  skill: string;
  hours: Range;
  source: string;
}

export interface Advice {
  place: Place;
  verdict: Verdict;
  choice: Ranked;
  runnerUp: Ranked | undefined;
  /** Less than `closePoints` of 100 between the two. */
  isCloseCall: boolean;
  ranking: Ranking;
  /** The same without the weight on skills, which is our assumption. */
  withoutSkills: Ranking;
  learning: Learning[];
  setUpHours: Range;
  hoursAMonth: Range;
  dollarsAMonth: Range;
  /** Skills that fewer than two named people could repair at night. */
  gaps: { skill: string; people: string[] }[];
  flip: Flip | undefined;
}

/** `console`: a managed console does all of it, and the team is content: it needs no Espalier. */
export type Outcome = "stack" | "keep" | "none yet" | "console";

export interface WholeAdvice {
  outcome: Outcome;
  sentence: string;
  advice: Advice[];
  hoursAMonth: Range;
  dollarsAMonth: Range;
  learningHours: Range;
  /** What the advice can not know or could not weigh. */
  warnings: string[];
}

export const closePoints = 3;
const priceAgeMonths = 12;

/**
 * Which tool at each milestone, and why. Pure: the same answers, manifests and day give the same advice.
 * Errors: INVALID_INPUT (bounds that contradict each other, or that leave nothing for a component).
 */
export function advise(options: RankOptions): WholeAdvice {
  const { answers, today } = options;
  requireKnownNames(options);
  const conflicts = contradictions(answers, today);
  if (conflicts.length > 0) {
    throw new EspalierError("INVALID_INPUT", conflicts.map(({ message }) => message).join(" "), {
      at: [...new Set(conflicts.flatMap(({ at }) => at))].join(", "),
      hint: "Change one of these answers: only you know which is meant.",
      details: { conflicts },
    });
  }
  const advice = places.map((place) => adviseFor(place, options));
  return {
    ...outcomeOf(advice, answers),
    advice,
    hoursAMonth: sumOf(advice.map(({ hoursAMonth }) => hoursAMonth)),
    dollarsAMonth: sumOf(advice.map(({ dollarsAMonth }) => dollarsAMonth)),
    learningHours: sumOf(learnedOnce(advice).map(({ hours }) => hours)),
    warnings: warningsOf(advice, options),
  };
}

function adviseFor(place: Place, options: RankOptions): Advice {
  const { answers } = options;
  const ranking = rank(place, options);
  const [choice, runnerUp] = ranking.ranked;
  if (choice === undefined) throw nothingLeft(ranking);
  const { candidate } = choice;
  const unknown: Range = [0, 0];
  return {
    place,
    verdict: verdictOf(choice),
    choice,
    runnerUp,
    isCloseCall: isCloseCall(choice, runnerUp),
    ranking,
    withoutSkills: rank(place, options, "skills"),
    learning: candidate.skills
      .filter((skill) => levelOf(answers, skill) < 2)
      .map((skill) => ({
        skill,
        hours: hoursToLearn(skill, levelOf(answers, skill)),
        source: skills[skill]?.source ?? "no figure is known for this skill; 20 to 80 hours are assumed",
      })),
    setUpHours: candidate.running === undefined ? (candidate.ownership?.setUpHours ?? unknown) : unknown,
    hoursAMonth: candidate.ownership?.hoursAMonth ?? unknown,
    dollarsAMonth: monthlyDollars(candidate, answers, place),
    gaps: candidate.skills
      .map((skill) => ({ skill, people: repairersOf(answers, skill, candidate.name) }))
      .filter(({ people }) => people.length < 2),
    flip: flipOf(ranking, options),
  };
}

/** Between two that come with Espalier nothing hangs on the choice. */
function isCloseCall({ candidate, score }: Ranked, runnerUp: Ranked | undefined): boolean {
  if (runnerUp === undefined || score - runnerUp.score >= closePoints) return false;
  return candidate.provider !== "embedded" || runnerUp.candidate.provider !== "embedded";
}

function verdictOf({ candidate }: Ranked): Verdict {
  if (candidate.kind === "none") return "none yet";
  if (candidate.kind === "own") return "own script";
  return candidate.kind === "keep" || candidate.running !== undefined ? "keep" : "use";
}

function nothingLeft({ place, excluded }: Ranking): EspalierError {
  const why = excluded.map(
    ({ candidate, exclusions }) => `${candidate.name}: ${exclusions.map(({ because }) => because).join("; ")}`,
  );
  const reasons = why.length === 0 ? "no tool is known" : why.join(". ");
  return new EspalierError("INVALID_INPUT", `Nothing is left for ${place.title} (${place.component}). ${reasons}`, {
    at: [...new Set(excluded.flatMap(({ exclusions }) => exclusions.map(({ at }) => at)))].join(", "),
    hint: "Loosen one of these bounds, or bring a tool of your own (`uses: npm:<package>`).",
  });
}

/** What all of it comes to. */
function outcomeOf(advice: readonly Advice[], { running }: Answers): { outcome: Outcome; sentence: string } {
  const kept = advice.filter(({ verdict }) => verdict === "keep");
  const added = advice.filter(({ verdict, choice }) => verdict === "use" && choice.candidate.provider !== "embedded");
  const consoles = [
    ...new Set(running.filter((one) => one.console && one.satisfied === "yes").map(({ tool }) => tool)),
  ];
  const needed = advice.filter(({ verdict }) => verdict !== "none yet" && verdict !== "own script");
  for (const tool of consoles) {
    const done = needed.filter(({ choice }) => choice.candidate.name === tool);
    if (done.length >= 5 && added.length === 0) {
      return {
        outcome: "console",
        sentence: `Use ${tool}, not us: you are content with it at ${done.length} of ${needed.length} milestones, and nothing else would gain more than the move costs.`,
      };
    }
  }
  const own = advice.filter(({ verdict }) => verdict === "own script");
  const scripts =
    own.length === 0 ? "" : ` Write a script of your own to ${own.map(({ place }) => place.title).join(", ")}.`;
  if (added.length === 0 && kept.length > 0) {
    return {
      outcome: "keep",
      sentence: `Keep what you have: ${names(kept)}.${scripts} Nothing else has to be added: the rest comes with Espalier.`,
    };
  }
  if (added.length === 0) {
    return {
      outcome: "none yet",
      sentence:
        "You need no server and no cloud service yet: what comes with Espalier does all of it on one machine." +
        scripts,
    };
  }
  const rest = kept.length === 0 ? "" : ` Keep ${names(kept)}.`;
  return { outcome: "stack", sentence: `Add ${names(added)}.${rest}${scripts} The rest comes with Espalier.` };
}

function names(advice: readonly Advice[]): string {
  return advice.map(({ choice, place }) => `${choice.candidate.name} (${place.title})`).join(", ");
}

function learnedOnce(advice: readonly Advice[]): Learning[] {
  return [...new Map(advice.flatMap(({ learning }) => learning.map((one) => [one.skill, one] as const))).values()];
}

function sumOf(ranges: readonly Range[]): Range {
  return [ranges.reduce((sum, [low]) => sum + low, 0), ranges.reduce((sum, [, high]) => sum + high, 0)];
}

function warningsOf(advice: readonly Advice[], { tools, answers, today }: RankOptions): string[] {
  const found: string[] = [];
  const [least] = sumOf(advice.map(({ hoursAMonth }) => hoursAMonth));
  if (least > answers.hours_a_month) {
    const dearest = [...advice].sort((one, other) => other.hoursAMonth[0] - one.hoursAMonth[0])[0];
    found.push(
      `All of it together takes at least ${Math.round(least)} hours a month, and you have ${answers.hours_a_month} (hours_a_month); most of them for ${dearest?.choice.candidate.name}.`,
    );
  }
  for (const { tool, component, ownership } of tools) {
    if (ownership === undefined) {
      found.push(
        `The manifest of ${tool} (${component}) says nothing of owning it (\`ownership\`): it is ranked as if it were dear.`,
      );
    } else if (
      monthsBetween(ownership.asOf, today) > priceAgeMonths &&
      advice.some(({ choice }) => choice.candidate.name === tool)
    ) {
      found.push(
        `The figures of ${tool} (${component}) are of ${ownership.asOf}, more than ${priceAgeMonths} months old: look them up before you rely on them.`,
      );
    }
  }
  for (const one of answers.bounds.compliance) {
    found.push(`No manifest says anything of ${one} (bounds.compliance): ask each provider.`);
  }
  const { residency } = answers.bounds;
  if (residency !== undefined && residency !== "on-premises") {
    found.push(
      `No manifest says in which regions a tool can keep data: choose one in ${residency} for every service that is not on this machine (bounds.residency).`,
    );
  }
  found.push(...misfitsOf(tools, answers));
  if (answers.work.latency_milliseconds !== undefined && answers.work.serving === "online") {
    found.push(
      `No manifest promises a latency; measure ${answers.work.latency_milliseconds} ms with your model (work.latency_milliseconds).`,
    );
  }
  return found;
}

function monthsBetween(date: string, today: string): number {
  return (Date.parse(today) - Date.parse(date)) / (30.44 * 24 * 3600 * 1000);
}
