import type { AdviceQuestions } from "@espalier/contract";
import { Button, fieldClass } from "../../ui/button.tsx";
import { type Answers, blankRunning, replaced } from "./draft.ts";
import { Check, Choice, fieldRow, Labelled, NumberField, Section } from "./fields.tsx";

export function RunningTools({
  answers: { running, niche },
  questions: { milestones },
  change,
}: {
  answers: Answers;
  questions: AdviceQuestions;
  change: (part: Partial<Answers>) => void;
}) {
  return (
    <Section title="What runs already, and what no tool does">
      <div className="space-y-3">
        {running.map((one, index) => {
          const put = (part: Partial<typeof one>) => change({ running: replaced(running, index, { ...one, ...part }) });
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name
            <div key={index} className={fieldRow}>
              <MilestoneField
                milestones={milestones}
                value={one.milestone}
                onChange={(milestone) => put({ milestone })}
              />
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
          <div key={index} className={fieldRow}>
            <MilestoneField
              milestones={milestones}
              value={one.milestone}
              onChange={(milestone) => change({ niche: replaced(niche, index, { ...one, milestone }) })}
            />
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

function MilestoneField({
  milestones,
  value,
  onChange,
}: {
  milestones: AdviceQuestions["milestones"];
  value: number;
  onChange: (milestone: number) => void;
}) {
  return (
    <Labelled label="Milestone">
      <select className={fieldClass} value={value} onChange={({ target }) => onChange(Number(target.value))}>
        {milestones.map(({ milestone, title }) => (
          <option key={milestone} value={milestone}>
            {milestone} {title}
          </option>
        ))}
      </select>
    </Labelled>
  );
}
