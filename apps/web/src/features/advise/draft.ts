import type { AdviceQuestions } from "@espalier/contract";

export type Answers = NonNullable<AdviceQuestions["answers"]>;
export type Person = Answers["people"][number];
export type Running = Answers["running"][number];

export const blankPerson = (name: string): Person => ({ name, skills: {}, repairs: [] });

export const blankRunning: Running = {
  milestone: 6,
  tool: "",
  satisfied: "yes",
  months: 6,
  hours_a_month: 0,
  dollars_a_month: 0,
  console: false,
};

/** Where nobody has answered yet: one person, a small model, no bounds. */
export const firstDraft: Answers = {
  people: [blankPerson("you")],
  hours_a_month: 8,
  operated: [],
  machine: { gpus: 0, disk_gigabytes: 200 },
  work: {
    data_gigabytes: 5,
    training_hours: 1,
    runs_a_month: 4,
    gpus: 0,
    models: 1,
    serving: "online",
    requests_a_second: 10,
    retraining: "by hand",
  },
  bounds: { air_gapped: false, compliance: [], refused: [], lock_in: "some" },
  running: [],
  niche: [],
};

/** A person's level in a skill; none is left out, as people write it. */
export function withLevel(person: Person, skill: string, level: number): Person {
  const { [skill]: _, ...others } = person.skills;
  const repairs = level === 0 ? person.repairs.filter((name) => name !== skill) : person.repairs;
  return { ...person, skills: level === 0 ? others : { ...others, [skill]: level }, repairs };
}

export function toggled(names: readonly string[], name: string): string[] {
  return names.includes(name) ? names.filter((other) => other !== name) : [...names, name];
}

export function replaced<Item>(items: readonly Item[], index: number, item: Item | undefined): Item[] {
  const copy = [...items];
  if (item === undefined) copy.splice(index, 1);
  else copy[index] = item;
  return copy;
}

/** `answers` of the address: the whole document, so that what was asked can be shared. What is none is left to the server to refuse. */
export function readAdviseAddress(search: Readonly<Record<string, unknown>>): { answers?: Answers } {
  const { answers } = search;
  const isDocument = typeof answers === "object" && answers !== null && !Array.isArray(answers);
  return isDocument && Array.isArray((answers as Partial<Answers>).people) ? { answers: answers as Answers } : {};
}

/** Address bars hold so much; longer answers are given by file. */
export const longestAddress = 6_000;
