import type { AdviceQuestions } from "@espalier/contract";
import { Button, fieldClass } from "../../ui/button.tsx";
import { type Answers, blankRunning, replaced, toggled } from "./draft.ts";
import { Check, Choice, Labelled, NumberField, Section } from "./fields.tsx";
import { PeopleMatrix } from "./people-matrix.tsx";

const clouds = ["aws", "google", "azure"] as const;
const row = "flex flex-wrap items-end gap-x-5 gap-y-3";

export function AnswersForm({
  questions,
  answers,
  change,
  submit,
}: {
  questions: AdviceQuestions;
  answers: Answers;
  change: (part: Partial<Answers>) => void;
  submit: () => void;
}) {
  const { work, bounds } = answers;
  return (
    <form
      className="space-y-5"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <PeopleMatrix answers={answers} skills={questions.skills} change={change} />
      <Work work={work} change={(part) => change({ work: { ...work, ...part } })}>
        <NumberField
          label="Hours for operations a month, all together"
          value={answers.hours_a_month}
          onChange={(hours = 0) => change({ hours_a_month: hours })}
        />
      </Work>
      <Bounds bounds={bounds} change={(part) => change({ bounds: { ...bounds, ...part } })} />
      <RunningTools answers={answers} questions={questions} change={change} />
      <Weights answers={answers} questions={questions} change={change} />
      <Button type="submit" look="primary">
        Advise
      </Button>
    </form>
  );
}

const wordsOf = (text: string): string[] =>
  text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");

function Work({
  work,
  change,
  children,
}: {
  work: Answers["work"];
  change: (part: Partial<Answers["work"]>) => void;
  children: React.ReactNode;
}) {
  return (
    <Section title="Work">
      <div className={row}>
        <NumberField
          label="Data, GB"
          value={work.data_gigabytes}
          onChange={(value = 0) => change({ data_gigabytes: value })}
        />
        <NumberField
          label="One training, hours"
          value={work.training_hours}
          onChange={(value = 0) => change({ training_hours: value })}
        />
        <NumberField
          label="Trainings a month"
          value={work.runs_a_month}
          onChange={(value = 0) => change({ runs_a_month: value })}
        />
        <NumberField label="GPUs" value={work.gpus} onChange={(value = 0) => change({ gpus: Math.round(value) })} />
        <NumberField
          label="Models"
          value={work.models}
          onChange={(value = 0) => change({ models: Math.round(value) })}
        />
        <Choice
          label="Predictions are asked for"
          value={work.serving}
          values={["none", "batch", "online"]}
          onChange={(serving) => change({ serving })}
        />
        {work.serving === "online" && (
          <NumberField
            label="Requests a second"
            value={work.requests_a_second}
            onChange={(value = 0) => change({ requests_a_second: value })}
          />
        )}
        {work.serving === "online" && (
          <NumberField
            isOptional
            label="Within milliseconds"
            value={work.latency_milliseconds}
            onChange={(value) => change({ latency_milliseconds: value === 0 ? undefined : value })}
          />
        )}
        <Choice
          label="Models are retrained"
          value={work.retraining}
          values={["by hand", "scheduled"]}
          onChange={(retraining) => change({ retraining })}
        />
        <Labelled label="It must run by">
          <input
            type="date"
            className={fieldClass}
            value={work.by ?? ""}
            onChange={({ target }) => change({ by: target.value === "" ? undefined : target.value })}
          />
        </Labelled>
        {children}
      </div>
    </Section>
  );
}

function Bounds({ bounds, change }: { bounds: Answers["bounds"]; change: (part: Partial<Answers["bounds"]>) => void }) {
  const { approval } = bounds;
  return (
    <Section title="Bounds" hint="What is not kept is out, whatever else speaks for it.">
      <div className={row}>
        <Check
          label="No network to the outside"
          checked={bounds.air_gapped}
          onChange={(isAirGapped) => change({ air_gapped: isAirGapped })}
        />
        <Check
          label="Data stays on premises"
          checked={bounds.residency === "on-premises"}
          onChange={(stays) => change({ residency: stays ? "on-premises" : undefined })}
        />
        {bounds.residency !== "on-premises" && (
          <Labelled label="Data stays in the region">
            <input
              className={`${fieldClass} w-36`}
              value={bounds.residency ?? ""}
              placeholder="anywhere"
              onChange={({ target }) => change({ residency: target.value === "" ? undefined : target.value })}
            />
          </Labelled>
        )}
        <Labelled label="Rules that apply, with commas">
          <input
            className={fieldClass}
            defaultValue={bounds.compliance.join(", ")}
            placeholder="GDPR, HIPAA"
            onChange={({ target }) => change({ compliance: wordsOf(target.value) })}
          />
        </Labelled>
        <NumberField
          isOptional
          label="Dollars a month at most"
          value={bounds.budget_dollars_a_month}
          onChange={(value) => change({ budget_dollars_a_month: value })}
        />
        <Choice
          label="Lock-in tolerated"
          value={bounds.lock_in}
          values={["none", "some", "any"]}
          onChange={(tolerated) => change({ lock_in: tolerated })}
        />
        {clouds.map((cloud) => (
          <Check
            key={cloud}
            label={`not ${cloud}`}
            checked={bounds.refused.includes(cloud)}
            onChange={() => change({ refused: toggled(bounds.refused, cloud) })}
          />
        ))}
        <Labelled label="Who approves a new service">
          <input
            className={fieldClass}
            value={approval?.who ?? ""}
            placeholder="nobody"
            onChange={({ target }) =>
              change({
                approval:
                  target.value === ""
                    ? undefined
                    : { weeks: approval?.weeks ?? 4, approved: approval?.approved ?? [], who: target.value },
              })
            }
          />
        </Labelled>
        {approval !== undefined && (
          <NumberField
            label="Weeks it takes"
            value={approval.weeks}
            onChange={(weeks = 0) => change({ approval: { ...approval, weeks } })}
          />
        )}
      </div>
    </Section>
  );
}

function RunningTools({
  answers: { running, niche },
  questions: { milestones },
  change,
}: {
  answers: Answers;
  questions: AdviceQuestions;
  change: (part: Partial<Answers>) => void;
}) {
  const options = milestones.map(({ milestone, title }) => (
    <option key={`${milestone} ${title}`} value={milestone}>
      {milestone} {title}
    </option>
  ));
  return (
    <Section title="What runs already, and what no tool does">
      <div className="space-y-3">
        {running.map((one, index) => {
          const put = (part: Partial<typeof one>) => change({ running: replaced(running, index, { ...one, ...part }) });
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name
            <div key={index} className={row}>
              <Labelled label="Milestone">
                <select
                  className={fieldClass}
                  value={one.milestone}
                  onChange={({ target }) => put({ milestone: Number(target.value) })}
                >
                  {options}
                </select>
              </Labelled>
              <Labelled label="Tool">
                <input
                  required
                  className={fieldClass}
                  value={one.tool}
                  placeholder="mlflow"
                  onChange={({ target }) => put({ tool: target.value })}
                />
              </Labelled>
              <Choice
                label="Content with it"
                value={one.satisfied}
                values={["yes", "partly", "no"]}
                onChange={(satisfied) => put({ satisfied })}
              />
              <NumberField label="Months" value={one.months} onChange={(months = 0) => put({ months })} />
              <NumberField
                label="Hours a month"
                value={one.hours_a_month}
                onChange={(value = 0) => put({ hours_a_month: value })}
              />
              <NumberField
                label="$ a month"
                value={one.dollars_a_month}
                onChange={(value = 0) => put({ dollars_a_month: value })}
              />
              <Check
                label="a managed console"
                checked={one.console}
                onChange={(isConsole) => put({ console: isConsole })}
              />
              <Button
                aria-label={`Take ${one.tool || "this"} off`}
                onClick={() => change({ running: replaced(running, index, undefined) })}
              >
                ×
              </Button>
            </div>
          );
        })}
        {niche.map((one, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name
          <div key={index} className={row}>
            <Labelled label="Milestone">
              <select
                className={fieldClass}
                value={one.milestone}
                onChange={({ target }) =>
                  change({ niche: replaced(niche, index, { ...one, milestone: Number(target.value) }) })
                }
              >
                {options}
              </select>
            </Labelled>
            <Labelled label="A need that no tool meets">
              <input
                required
                className={`${fieldClass} w-80 max-w-full`}
                value={one.need}
                onChange={({ target }) => change({ niche: replaced(niche, index, { ...one, need: target.value }) })}
              />
            </Labelled>
            <Button
              aria-label="Take this need off"
              onClick={() => change({ niche: replaced(niche, index, undefined) })}
            >
              ×
            </Button>
          </div>
        ))}
        <div className="flex flex-wrap gap-2">
          <Button onClick={() => change({ running: [...running, blankRunning] })}>Add a tool that runs</Button>
          <Button onClick={() => change({ niche: [...niche, { milestone: 2, need: "" }] })}>
            Add a need that no tool meets
          </Button>
        </div>
      </div>
    </Section>
  );
}

function Weights({
  answers,
  questions,
  change,
}: {
  answers: Answers;
  questions: AdviceQuestions;
  change: (part: Partial<Answers>) => void;
}) {
  return (
    <details className="rounded-xl border border-line bg-card px-5 py-3">
      <summary className="cursor-pointer font-serif text-lg">Weights</summary>
      <p className="mt-2 mb-3 text-sm text-muted">
        How much each criterion counts; only their proportions matter. The weight on skills is our assumption: the
        answer is told without it as well.
      </p>
      <div className={row}>
        {Object.entries(questions.weights).map(([criterion, usual]) => (
          <NumberField
            key={criterion}
            label={criterion}
            value={answers.weights?.[criterion] ?? usual}
            onChange={(weight = 0) => change({ weights: { ...answers.weights, [criterion]: weight } })}
          />
        ))}
      </div>
    </details>
  );
}
