import type { AdviceQuestions } from "@espalier/contract";
import { Button, fieldClass } from "../../ui/button.tsx";
import { type Answers, toggled } from "./draft.ts";
import { Check, Choice, fieldRow, Labelled, NumberField, Section } from "./fields.tsx";
import { PeopleMatrix } from "./people-matrix.tsx";
import { RunningTools } from "./running-tools.tsx";

const clouds = ["aws", "google", "azure"] as const;

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
      <div className={fieldRow}>
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
      <div className={fieldRow}>
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
      <div className={fieldRow}>
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
