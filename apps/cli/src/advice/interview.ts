import { writeFile } from "node:fs/promises";
import { cancel, confirm, intro, isCancel, multiselect, outro, select, text } from "@clack/prompts";
import { type Answers, EspalierError, knownSkills } from "@espalier/core";
import { readAnswers } from "@espalier/host";
import { stringify } from "yaml";
import { isDay } from "../is-day.ts";
import { collectList } from "../project-command.ts";
import { type Found, lookAt } from "./look-around.ts";

const clouds = ["aws", "google", "azure"] as const;

/** Asks in the terminal, and keeps the answers in a file that people can change and scripts can give. */
export async function interview(path: string, found: readonly Found[]): Promise<Answers> {
  intro("Which tool at each milestone? The answers are kept, and every reason names those it rests on.");
  const people = await askPeople();
  const answers = {
    people,
    hours_a_month: await number("How many hours a month do all of you have for operations?", 8),
    operated: await many("What has the team operated for half a year or longer?", Object.keys(knownSkills)),
    work: await askWork(),
    bounds: await askBounds(),
    running: await askRunning(found),
    niche: await askNiche(),
  };
  // Kept before they are checked: nobody answers all of it twice.
  await writeFile(path, stringify(answers));
  const checked = await readAnswers(path);
  outro(`Kept in ${path}. Change it there, or weigh otherwise by \`weights:\`, and run \`espalier advise\` again.`);
  return checked;
}

async function askPeople(): Promise<Answers["people"]> {
  const people: Answers["people"] = [];
  do {
    const name = await answer(
      text({
        message: people.length === 0 ? "Who is on the team? One name" : "The next name",
        validate: (typed = "") => {
          if (typed.trim() === "") return "A name";
          return people.some(({ name }) => name === typed.trim()) ? `${typed} is on the team already` : undefined;
        },
      }),
    );
    const used = await many(`Which of these has ${name} used?`, Object.keys(knownSkills));
    const runs = used.length === 0 ? [] : await many(`Which does ${name} run day by day?`, used);
    const repairs = runs.length === 0 ? [] : await many(`Which could ${name} repair alone at night?`, runs);
    const level = (skill: string): number => (repairs.includes(skill) ? 3 : runs.includes(skill) ? 2 : 1);
    people.push({ name, repairs, skills: Object.fromEntries(used.map((skill) => [skill, level(skill)])) });
  } while (await answer(confirm({ message: "Somebody else?", initialValue: people.length < 2 })));
  return people;
}

async function askWork(): Promise<Record<string, unknown>> {
  const serving = await answer(
    select({
      message: "How are predictions asked for?",
      options: [
        { value: "none", label: "not at all yet" },
        { value: "batch", label: "in batches" },
        { value: "online", label: "one by one, online" },
      ],
    }),
  );
  return {
    data_gigabytes: await number("How many GB of data?", 5),
    training_hours: await number("How many hours does one training take on one machine?", 1),
    runs_a_month: await number("How many trainings a month?", 4),
    gpus: await number("How many GPUs does it need?", 0),
    models: await number("How many models?", 1),
    serving,
    ...(serving === "online" ? await askOnline() : {}),
    retraining: (await answer(confirm({ message: "Are models retrained on a schedule?" }))) ? "scheduled" : "by hand",
    ...(await given("by", "By which day must it run? Such as 2027-03-31 (leave empty: no such day)", dayFault)),
  };
}

async function askOnline(): Promise<Record<string, number>> {
  const requests = await number("How many requests a second at most?", 10);
  const latency = await number("Within how many milliseconds? (leave empty: no bound)", undefined);
  return { requests_a_second: requests, ...(latency ? { latency_milliseconds: latency } : {}) };
}

async function askBounds(): Promise<Record<string, unknown>> {
  const isAirGapped = await answer(
    confirm({ message: "Is there no network to the outside (an air gap)?", initialValue: false }),
  );
  const staysHere = await answer(confirm({ message: "Must data stay on premises?", initialValue: isAirGapped }));
  const region = staysHere
    ? {}
    : await given("residency", "In which region must data stay, such as eu? (leave empty: anywhere)");
  const compliance = await answer(
    text({ message: "Which rules apply, such as GDPR, HIPAA? With commas (leave empty: none)", defaultValue: "" }),
  );
  const lockIn = await answer(
    select({
      message: "How much lock-in is tolerated?",
      options: [
        { value: "none", label: "none" },
        { value: "some", label: "some" },
        { value: "any", label: "any" },
      ],
      initialValue: "some",
    }),
  );
  const refused = isAirGapped || staysHere ? [] : await many("Which clouds are out of the question?", clouds);
  const budget = await number("Dollars a month for tools (leave empty: no bound)", undefined);
  const who = await answer(text({ message: "Who approves a new service? (leave empty: nobody)", defaultValue: "" }));
  return {
    air_gapped: isAirGapped,
    ...(staysHere ? { residency: "on-premises" } : region),
    compliance: collectList(compliance),
    lock_in: lockIn,
    refused,
    ...(budget === undefined ? {} : { budget_dollars_a_month: budget }),
    ...(who === "" ? {} : { approval: { who, weeks: await number("How many weeks does that take?", 4) } }),
  };
}

/** What was answered under its name; nothing where the answer is empty. */
async function given(
  name: string,
  message: string,
  check: (value: string) => string | undefined = () => undefined,
): Promise<Record<string, string>> {
  const value = await answer(
    text({
      message,
      defaultValue: "",
      validate: (typed) => (typed === undefined || typed === "" ? undefined : check(typed)),
    }),
  );
  return value === "" ? {} : { [name]: value };
}

const dayFault = (value: string): string | undefined => (isDay(value) ? undefined : "A day such as 2027-03-31");

async function askRunning(found: readonly Found[]): Promise<unknown[]> {
  const seen = [...found];
  for (;;) {
    const source = await answer(
      text({
        message:
          "What runs already? A kubeconfig, a Terraform state, the address of MLflow or Airflow (leave empty: go on)",
        defaultValue: "",
      }),
    );
    if (source === "") break;
    seen.push(await lookAt(source));
  }
  const running: unknown[] = [];
  for (const { told, running: entries } of seen) {
    for (const entry of entries) {
      const satisfied = await answer(
        select({
          message: `${told}: are you content with ${entry.tool}?`,
          options: [{ value: "yes" }, { value: "partly" }, { value: "no" }],
        }),
      );
      running.push({ ...entry, satisfied, months: await number(`For how many months have you run ${entry.tool}?`, 6) });
    }
  }
  return running;
}

async function askNiche(): Promise<unknown[]> {
  const need = await answer(text({ message: "A need that no tool meets? (leave empty: none)", defaultValue: "" }));
  if (need === "") return [];
  return [{ milestone: await number("At which milestone, 1 to 13?", 2), need }];
}

/** Escape ends it, and nothing was written. */
async function answer<Value>(asked: Promise<Value>): Promise<Exclude<Value, symbol>> {
  const given = await asked;
  if (!isCancel(given)) return given as Exclude<Value, symbol>;
  cancel("Nothing was written.");
  throw new EspalierError("CANCELLED", "The interview was ended before its last question", {
    hint: "Run `espalier advise` again, or write advice.yaml yourself: docs/choosing.md.",
  });
}

function many<Value extends string>(message: string, values: readonly Value[]): Promise<Value[]> {
  const options = values.map((value) => ({ value, label: value as string }));
  return answer(multiselect({ message, options: options as never, required: false }) as Promise<Value[] | symbol>);
}

async function number<Default extends number | undefined>(
  message: string,
  byDefault: Default,
): Promise<number | Default> {
  const given = await answer(
    text({
      message,
      defaultValue: byDefault === undefined ? "" : String(byDefault),
      ...(byDefault === undefined ? {} : { placeholder: String(byDefault) }),
      validate: (value) => (value === undefined || value === "" || Number(value) >= 0 ? undefined : "A number from 0"),
    }),
  );
  return given === "" ? byDefault : Number(given);
}
