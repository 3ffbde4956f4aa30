import { type Answers, type Criterion, levelOf, repairersOf } from "./answers.ts";
import type { Candidate, Place } from "./candidates.ts";
import { demandsOn, strainOf } from "./demand.ts";
import { weeksUntil } from "./limits.ts";
import { monthlyDollars } from "./money.ts";

/** How well one candidate meets one criterion: 0 to 1, by itself and never by comparison, so that no other tool can reorder two. */
export interface Mark {
  value: number;
  because: string;
  /** The answers that it rests on. */
  at: string[];
}

type MarkOf = (candidate: Candidate, answers: Answers, place: Place, today: string) => Mark;

const middle = ([low, high]: readonly [number, number]): number => (low + high) / 2;
const share = (value: number): number => Math.min(1, Math.max(0, value));
const satisfaction = { yes: 1, partly: 0.5, no: 0.1 } as const;

export const marks: Readonly<Record<Criterion, MarkOf>> = {
  fit(candidate, answers, place) {
    const { kind, name, running } = candidate;
    const { niche } = answers;
    const { milestone } = place;
    const index = niche.findIndex((one) => one.milestone === milestone);
    if (index >= 0) {
      const { need } = niche[index] as { need: string };
      if (kind === "own")
        return { value: 1, because: `your own need, ${need}, is met by a script of your own`, at: [`niche[${index}]`] };
      return { value: 0.3, because: `${name} does not meet your own need: ${need}`, at: [`niche[${index}]`] };
    }
    if (running !== undefined) {
      const pain = running.pain === undefined ? "" : ` (${running.pain})`;
      return {
        value: satisfaction[running.satisfied],
        because: `you are ${contentWith(running.satisfied)} ${name}${pain}`,
        at: ["running"],
      };
    }
    const [demand] = demandsOn(candidate, answers, place);
    if (demand !== undefined) {
      const { at, asked, carried, unit } = demand;
      const strain = strainOf(demand);
      return strain <= 1
        ? { value: 1, because: `${asked} ${unit} are well within what ${name} carries`, at: [at] }
        : {
            value: 1 / strain,
            because: `${asked} ${unit} are beyond the ${carried} that ${name} carries without strain`,
            at: [at],
          };
    }
    return { value: 1, because: `${name} does what is asked`, at: [] };
  },

  skills({ name, kind, skills, running }, answers) {
    if (kind === "keep" && running !== undefined) return known(name, running.months);
    if (skills.length === 0) return { value: 1, because: `${name} asks for no skill that you lack`, at: [] };
    const weakest = skills
      .map((skill) => ({ skill, ...skillOf(skill, name, answers) }))
      .reduce((least, one) => (one.value < least.value ? one : least));
    return { value: weakest.value, because: `${weakest.skill}: ${weakest.because}`, at: ["people", "operated"] };
  },

  hours({ name, ownership }, { hours_a_month }) {
    if (ownership === undefined) return silent(name, "the hours that it takes");
    const needed = middle(ownership.hoursAMonth);
    if (needed === 0) return { value: 1, because: `${name} takes no hours of operations`, at: [] };
    return {
      value: hours_a_month === 0 ? 0 : share(1 - needed / hours_a_month),
      because: `${name} takes ${range(ownership.hoursAMonth)} of your ${hours_a_month} hours of operations a month`,
      at: ["hours_a_month"],
    };
  },

  money(candidate, answers, place) {
    if (candidate.ownership === undefined) return silent(candidate.name, "what it costs");
    const dollars = monthlyDollars(candidate, answers, place);
    const budget = answers.bounds.budget_dollars_a_month;
    if (middle(dollars) === 0) return { value: 1, because: `${candidate.name} costs no money of its own`, at: [] };
    // Without a budget the scale is 1,000 $ a month: a figure to hold it against, told with the reason.
    const scale = budget ?? 1000;
    const against = budget === undefined ? "; no budget is given, held against 1000 $" : ` of ${budget} $`;
    return {
      value: scale === 0 ? 0 : share(1 - middle(dollars) / scale),
      because: `${candidate.name} costs about ${range(dollars)} $ a month${against}`,
      at: budget === undefined ? [] : ["bounds.budget_dollars_a_month"],
    };
  },

  freedom({ name, ownership }, { bounds }) {
    if (ownership === undefined) return silent(name, "how it is left");
    const step = { none: 3, some: 6, any: Number.POSITIVE_INFINITY }[bounds.lock_in];
    return {
      value: share(1 - ownership.lockIn / step),
      because: `leaving ${name}: ${ownership.wayOut} (lock-in ${ownership.lockIn} of 3, tolerated: ${bounds.lock_in})`,
      at: ["bounds.lock_in"],
    };
  },

  proof({ name, kind, verified, running }) {
    if (running !== undefined) return { value: 1, because: `${name} runs with you already`, at: ["running"] };
    if (verified === undefined)
      return { value: 1, because: kind === "own" ? "you test your own script" : `${name} needs no proof`, at: [] };
    if (verified.live === "not yet run against the live service") {
      const value = verified.label === "contract" ? 0.3 : 0.5;
      return {
        value,
        because: `${name} has never run against the live service, only against ${verified.against}`,
        at: [],
      };
    }
    return { value: 1, because: `${name} is tested against ${verified.against}`, at: [] };
  },

  continuity({ name, kind, provider, running }, { bounds, work, running: all }, { milestone }, today) {
    if (running !== undefined) {
      const value = { yes: 1, partly: 0.6, no: 0.2 }[running.satisfied];
      return { value, because: `${name} is in place, and nothing has to move`, at: ["running"] };
    }
    const left = all.find((one) => one.milestone === milestone);
    if (left !== undefined) {
      const value = { yes: 0, partly: 0.4, no: 0.8 }[left.satisfied];
      return {
        value,
        because: `${name} means leaving ${left.tool}, which you are ${contentWith(left.satisfied)}`,
        at: ["running"],
      };
    }
    if (kind !== "tool" || provider === "embedded")
      return { value: 1, because: `${name} comes with Espalier: nobody has to approve it`, at: [] };
    const { approval } = bounds;
    if (approval === undefined || approval.approved.some((one) => one === name || one === provider)) {
      return {
        value: 0.8,
        because: `${name} is new to you, and nobody has to approve it first`,
        at: ["bounds.approval"],
      };
    }
    const weeks = work.by === undefined ? 26 : Math.max(1, weeksUntil(work.by, today));
    return {
      value: share(0.8 - approval.weeks / weeks),
      because: `${approval.who} takes ${approval.weeks} weeks over a new service`,
      at: ["bounds.approval.weeks"],
    };
  },
};

function contentWith(satisfied: "yes" | "partly" | "no"): string {
  return { yes: "content with", partly: "partly content with", no: "not content with" }[satisfied];
}

function known(name: string, months: number): Mark {
  const value = 0.5 + 0.5 * share(months / 6);
  return { value, because: `you have operated ${name} for ${months} months`, at: ["running"] };
}

/** Fewer than two who could repair it alone at night is a gap: one of them is on holiday. */
function skillOf(skill: string, tool: string, answers: Answers): { value: number; because: string } {
  const level = levelOf(answers, skill);
  const repairers = repairersOf(answers, skill, tool);
  const operated = answers.operated.includes(skill) || answers.operated.includes(tool);
  const value = (0.4 * level) / 3 + 0.2 * Math.min(2, repairers.length) + (operated ? 0.2 : 0);
  const who =
    repairers.length === 0
      ? "nobody could repair it alone at night"
      : repairers.length === 1
        ? `only ${repairers[0]} could repair it alone at night, which is a gap`
        : `${repairers.join(" and ")} could repair it alone at night`;
  return {
    value: share(value),
    because: `the best of you is at level ${level} of 3, ${who}, ${operated ? "operated" : "not operated"} for half a year`,
  };
}

/** What a manifest does not say counts as the dear half, so that silence is no advantage. */
function silent(name: string, what: string): Mark {
  return { value: 0.25, because: `the manifest of ${name} does not say ${what}`, at: [] };
}

export function range([low, high]: readonly [number, number]): string {
  const [from, to] = [round(low), round(high)];
  return from === to ? String(from) : `${from} to ${to}`;
}

function round(value: number): number {
  return value >= 10 ? Math.round(value) : Math.round(value * 10) / 10;
}
