import type { Answers } from "./answers.ts";
import type { Candidate } from "./candidates.ts";
import { type Ranking, type RankOptions, rank } from "./rank.ts";

/** The one fact that would change the answer, if there is one. */
export interface Flip {
  /** The answer, or the manifest's field, that would be another. */
  at: string;
  sentence: string;
  winner: string;
}

interface Change {
  at: string;
  fact: string;
  options: RankOptions;
}

/** Tries one changed fact after another, the likeliest first, and tells the first with which another candidate wins. */
export function flipOf(ranking: Ranking, options: RankOptions): Flip | undefined {
  const winner = ranking.ranked[0]?.candidate.name;
  for (const { at, fact, options: changed } of changesAround(ranking, options)) {
    const now = rank(ranking.place, changed).ranked[0]?.candidate.name;
    if (now !== undefined && now !== winner) return { at, winner: now, sentence: `If ${fact}, it would be ${now}.` };
  }
  return undefined;
}

function changesAround(ranking: Ranking, options: RankOptions): Change[] {
  const { answers, tools } = options;
  const [first, ...others] = ranking.ranked.map(({ candidate }) => candidate);
  const change = (at: string, fact: string, changed: Answers): Change => ({
    at,
    fact,
    options: { ...options, answers: changed },
  });
  const { work, bounds } = answers;
  const withWork = (part: Partial<Answers["work"]>): Answers => ({ ...answers, work: { ...work, ...part } });
  const withBounds = (part: Partial<Answers["bounds"]>): Answers => ({ ...answers, bounds: { ...bounds, ...part } });
  return [
    ...(ranking.ranked[0]?.candidate.kind === "none"
      ? [
          change("work.serving", "predictions were asked for online", withWork({ serving: "online" })),
          change("work.retraining", "models were retrained on a schedule", withWork({ retraining: "scheduled" })),
          ...tools
            .filter(({ component }) => component === ranking.place.component)
            .map(({ tool, milestone }) =>
              change("running", `you ran ${tool} already`, {
                ...answers,
                running: [...answers.running, { ...inUse, milestone, tool }],
              }),
            ),
        ]
      : []),
    ...(first?.running === undefined
      ? []
      : [
          change("running", `${first.name} no longer did what you need`, {
            ...answers,
            running: answers.running.map((one) => (one === first.running ? { ...one, satisfied: "no" as const } : one)),
          }),
        ]),
    ...others.flatMap((candidate) =>
      candidate.skills.length === 0
        ? []
        : [change("people", `two of you could repair ${candidate.name} at night`, withRepairers(answers, candidate))],
    ),
    ...[4, 16].map((factor) =>
      change(
        "work.training_hours",
        `training took ${work.training_hours * factor} hours`,
        withWork({ training_hours: work.training_hours * factor }),
      ),
    ),
    ...[10, 100].map((factor) =>
      change(
        "work.data_gigabytes",
        `the data were ${work.data_gigabytes * factor} GB`,
        withWork({ data_gigabytes: work.data_gigabytes * factor }),
      ),
    ),
    ...[10, 100].map((factor) =>
      change(
        "work.requests_a_second",
        `${work.requests_a_second * factor} requests a second came`,
        withWork({ requests_a_second: work.requests_a_second * factor }),
      ),
    ),
    change(
      "work.gpus",
      "training needed a GPU more than this machine has",
      withWork({ gpus: answers.machine.gpus + 1 }),
    ),
    change("hours_a_month", `you had ${answers.hours_a_month * 4 + 10} hours of operations a month`, {
      ...answers,
      hours_a_month: answers.hours_a_month * 4 + 10,
    }),
    change("hours_a_month", "you had no hours for operations", { ...answers, hours_a_month: 0 }),
    change("bounds.lock_in", "no lock-in were tolerated", withBounds({ lock_in: "none" })),
    change("bounds.lock_in", "any lock-in were tolerated", withBounds({ lock_in: "any" })),
    change("bounds.budget_dollars_a_month", "there were no money for it", withBounds({ budget_dollars_a_month: 0 })),
    change(
      "bounds.budget_dollars_a_month",
      "money were no question",
      withBounds({ budget_dollars_a_month: 1_000_000 }),
    ),
    change("bounds.approval", "nobody had to approve a new service", withBounds({ approval: undefined })),
    change("bounds.providers", "any provider might be used", withBounds({ providers: undefined, refused: [] })),
    change("bounds.air_gapped", "there were no air gap", withBounds({ air_gapped: false })),
    ...others.flatMap(({ name, verified }) =>
      verified?.live !== "not yet run against the live service"
        ? []
        : [
            {
              at: `the manifest of ${name}`,
              fact: `${name} had been run against the live service`,
              options: {
                ...options,
                tools: options.tools.map((tool) =>
                  tool.tool === name && tool.component === ranking.place.component
                    ? { ...tool, verified: { ...tool.verified, live: "yes" as const } }
                    : tool,
                ),
              },
            },
          ],
    ),
  ];
}

const inUse = { satisfied: "yes", months: 12, hours_a_month: 1, dollars_a_month: 0, console: false } as const;

function withRepairers(answers: Answers, { name, skills }: Candidate): Answers {
  const able = { skills: Object.fromEntries(skills.map((skill) => [skill, 3])), repairs: [name] };
  const people = [...answers.people.slice(0, 2).map((person) => ({ ...person, ...merged(person, able) }))];
  while (people.length < 2) people.push({ name: `another ${people.length}`, ...able });
  return { ...answers, people: [...people, ...answers.people.slice(2)], operated: [...answers.operated, name] };
}

function merged(person: Answers["people"][number], able: { skills: Record<string, number>; repairs: string[] }) {
  return { skills: { ...person.skills, ...able.skills }, repairs: [...person.repairs, ...able.repairs] };
}
