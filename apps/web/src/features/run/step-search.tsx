import { useMemo } from "react";
import { axisOver } from "../../charts/parallel.ts";
import { ParallelChart } from "../../charts/parallel-chart.tsx";
import { Section } from "../../ui/facts.tsx";
import { decimal } from "../../ui/words.ts";
import { readTrials, type Trial } from "./read-trials.ts";

const width = 240;
const height = 170;
const edge = 14;

/** What a search found: every trial over its values, and each value against what the trials came to. The best stands out. */
export function StepSearch({ values, metric }: { values: Record<string, unknown> | undefined; metric: string }) {
  const { best, trials } = useMemo(() => readTrials(values), [values]);
  const names = [...new Set(trials.flatMap((trial) => Object.keys(trial.values)))].sort();
  if (trials.length === 0) return null;
  return (
    <Section title={best === undefined ? "Trials" : `Trials: ${best} is the best of ${trials.length}`}>
      <ParallelChart
        axes={[...names, metric]}
        rows={trials.map(({ number, values: of, result }) => ({
          name: `trial ${number}`,
          stroke: number === best ? 4 : 0,
          values: [...names.map((name) => of[name] ?? null), result],
        }))}
      />
      <div className="mt-4 flex flex-wrap gap-6">
        {names.map((name) => (
          <Scatter key={name} name={name} metric={metric} trials={trials} best={best} />
        ))}
      </div>
    </Section>
  );
}

function Scatter({
  name,
  metric,
  trials,
  best,
}: {
  name: string;
  metric: string;
  trials: readonly Trial[];
  best: number | undefined;
}) {
  const across = axisOver(
    name,
    trials.map(({ values }) => values[name] ?? null),
    decimal,
  );
  const up = axisOver(
    metric,
    trials.map(({ result }) => result),
    decimal,
  );
  const x = (at: number): number => edge + at * (width - 2 * edge);
  const y = (at: number): number => edge + (1 - at) * (height - 2 * edge);
  const [low, high] = [across.ticks[0]?.label, across.ticks.at(-1)?.label];
  return (
    <figure className="text-[13px]">
      <figcaption className="mb-1 font-medium">
        {metric} by {name}
      </figcaption>
      <svg width={width} height={height} aria-hidden="true" className="rounded-lg bg-sunken">
        {trials.map(({ number, values, result }) => {
          const [left, top] = [across.place(values[name] ?? null), up.place(result)];
          if (left === null || top === null) return null;
          return (
            <circle
              key={number}
              cx={x(left)}
              cy={y(top)}
              r={number === best ? 6 : 3.5}
              className={number === best ? "fill-bad" : "fill-live"}
            >
              <title>{`trial ${number}: ${name} ${decimal(values[name] ?? "none")}, ${metric} ${decimal(result ?? "none")}`}</title>
            </circle>
          );
        })}
      </svg>
      <p className="flex justify-between text-muted">
        <span>{low}</span>
        {high !== low && <span>{high}</span>}
      </p>
    </figure>
  );
}
