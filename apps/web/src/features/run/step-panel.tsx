import type { RunDetail } from "@espalier/contract";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { StateMark } from "../../ui/state-mark.tsx";
import { Empty, Problem } from "../../ui/states.tsx";
import { duration } from "../../ui/words.ts";
import { ApproveStep } from "./approve-step.tsx";
import { runPipelineQuery } from "./queries.ts";
import type { RunAddress } from "./run-address.ts";
import { StepAttempts } from "./step-attempts.tsx";
import { StepBranches } from "./step-branches.tsx";
import { StepData } from "./step-data.tsx";
import { StepLog } from "./step-log.tsx";
import { StepMetrics } from "./step-metrics.tsx";
import { StepSearch } from "./step-search.tsx";
import { StepSettings } from "./step-settings.tsx";
import { StepWhy } from "./step-why.tsx";
import { attemptsOf, type StepView } from "./steps-of-run.ts";

/** All about one step of the run, or one branch of it. */
export function StepPanel({
  detail,
  view,
  address,
  now,
}: {
  detail: RunDetail;
  view: StepView;
  address: RunAddress;
  now: number;
}) {
  const { run, steps } = detail;
  const branch = address.branch ?? -1;
  const step = branch === -1 ? view.step : view.branches.find((one) => one.branch === branch);
  const settings = useQuery(runPipelineQuery(run.id)).data?.ir.steps[view.name];
  const attempts = attemptsOf(detail.attempts, view.name, branch);
  const shown = address.attempt ?? attempts.at(-1)?.number;
  return (
    <section aria-label={`Step ${view.name}`} className="overflow-hidden rounded-xl border border-line bg-card">
      {step?.state === "waiting" && settings?.uses === "approve" && <ApproveStep run={run} step={view.name} />}
      <header className="flex flex-wrap items-center gap-x-4 gap-y-2 px-5 py-4">
        <h2 className="text-xl wrap-anywhere">
          {branch === -1 ? (
            view.name
          ) : (
            <>
              <Link to="." search={{ step: view.name }} resetScroll={false} className="text-leaf hover:underline">
                {view.name}
              </Link>{" "}
              · branch {branch}
            </>
          )}
        </h2>
        <StateMark state={step?.state ?? "pending"} />
        {step?.startedAt !== undefined && (
          <span className="text-sm text-muted tabular-nums">{duration((step.finishedAt ?? now) - step.startedAt)}</span>
        )}
        {step?.reason !== undefined && <span className="text-sm text-muted wrap-anywhere">{step.reason}</span>}
      </header>
      {step?.error !== undefined && (
        <div className="px-5 pb-4">
          <Problem error={step.error} />
        </div>
      )}
      {step === undefined && branch !== -1 ? (
        <div className="p-5">
          <Empty title={`${view.name} has no branch ${branch}`}>Its branches are on the step's own panel.</Empty>
        </div>
      ) : (
        <>
          {branch === -1 && view.branches.length > 0 && <StepBranches branches={view.branches} open={undefined} />}
          {branch === -1 && settings?.tune !== undefined && (
            <StepSearch values={step?.values} metric={settings.tune.objective.metric} />
          )}
          {step !== undefined && <StepWhy runId={run.id} step={step} />}
          <StepMetrics
            runId={run.id}
            step={view.name}
            branch={branch}
            attemptId={attempts.find((one) => one.number === shown)?.id ?? step?.cachedFrom}
            isLive={step?.state === "running"}
          />
          {attempts.length > 0 && <StepAttempts attempts={attempts} shown={shown} now={now} />}
          {shown !== undefined && attempts.length > 0 && (
            <StepLog runId={run.id} step={view.name} branch={branch} attempt={shown} />
          )}
          {step !== undefined && <StepData step={step} settings={settings} steps={steps} />}
          {settings !== undefined && <StepSettings settings={settings} />}
        </>
      )}
    </section>
  );
}
