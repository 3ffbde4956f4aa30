import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { StateMark } from "../../ui/state-mark.tsx";
import { duration } from "../../ui/words.ts";
import { layOut, nodeHeight, nodeWidth } from "./graph-layout.ts";
import { branchWords, type StepView } from "./steps-of-run.ts";

/** The pipeline as a graph. Each step is a link to its panel, so that the keyboard reaches it and its address can be shared. */
export function RunGraph({
  graph,
  views,
  open,
  now,
}: {
  graph: Record<string, string[]>;
  views: ReadonlyMap<string, StepView>;
  open: string | undefined;
  now: number;
}) {
  // The answer is a new object at every refresh; its places change only with its words.
  const shape = JSON.stringify(graph);
  const { steps, needs, width, height } = useMemo(() => layOut(JSON.parse(shape) as Record<string, string[]>), [shape]);
  return (
    <section aria-label="Steps" className="overflow-x-auto rounded-xl border border-line bg-card">
      <svg width={width} height={height} className="mx-auto block" aria-label="Graph of the pipeline">
        <g className="fill-none stroke-edge/70" strokeWidth="1.5">
          {needs.map(({ from, to, path }) => (
            <path
              key={`${from} ${to}`}
              d={path}
              className={views.get(from)?.step?.state === "running" ? "stroke-live" : undefined}
            />
          ))}
        </g>
        {steps.map(({ step, x, y }) => (
          <foreignObject key={step} x={x} y={y} width={nodeWidth} height={nodeHeight} className="overflow-visible">
            <StepLink view={views.get(step)} name={step} isOpen={step === open} now={now} />
          </foreignObject>
        ))}
      </svg>
    </section>
  );
}

function StepLink({
  view,
  name,
  isOpen,
  now,
}: {
  view: StepView | undefined;
  name: string;
  isOpen: boolean;
  now: number;
}) {
  const state = view?.step?.state ?? "pending";
  const started = view?.step?.startedAt;
  const branches = view?.branches ?? [];
  return (
    <Link
      to="."
      search={{ step: name }}
      resetScroll={false}
      aria-current={isOpen ? "step" : undefined}
      title={branches.length > 0 ? branchWords(branches) : undefined}
      className={`flex h-full flex-col justify-center gap-0.5 rounded-lg border px-3 ${
        isOpen ? "border-leaf bg-leaf-soft ring-1 ring-leaf" : "border-edge/60 bg-paper hover:border-leaf"
      }`}
    >
      <span className="flex items-baseline justify-between gap-2 text-sm font-medium">
        <span className="truncate">{name}</span>
        {branches.length > 0 && <span className="text-xs text-muted">×{branches.length}</span>}
      </span>
      <span className="flex items-center justify-between gap-2">
        <StateMark state={state} />
        {started !== undefined && (
          <span className="text-xs whitespace-nowrap text-muted tabular-nums">
            {duration((view?.step?.finishedAt ?? now) - started)}
          </span>
        )}
      </span>
    </Link>
  );
}
