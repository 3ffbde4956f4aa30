import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useNow } from "../../ui/instant.tsx";
import { Page } from "../../ui/page.tsx";
import { StateMark } from "../../ui/state-mark.tsx";
import { Empty, Loading, Problem } from "../../ui/states.tsx";
import { runQuery } from "./queries.ts";
import { RunActions } from "./run-actions.tsx";
import { RunFacts } from "./run-facts.tsx";
import { RunGraph } from "./run-graph.tsx";
import { StepPanel } from "./step-panel.tsx";
import { stepToOpen, stepViews, terminalRunStates } from "./steps-of-run.ts";

const route = getRouteApi("/runs/$runId");

export function RunPage() {
  const { runId } = route.useParams();
  const address = route.useSearch();
  const query = useQuery(runQuery(runId));
  const detail = query.data;
  const isLive = detail !== undefined && !terminalRunStates.includes(detail.run.state);
  const now = useNow(isLive ? 1_000 : 60_000);
  if (detail === undefined) {
    return (
      <Page title={`Run ${runId.slice(-8)}`}>
        {query.isError ? (
          <Problem error={query.error} retry={() => void query.refetch()} />
        ) : (
          <Loading what="the run" />
        )}
      </Page>
    );
  }
  const { run, graph } = detail;
  const views = stepViews(detail);
  const open = address.step ?? stepToOpen(views.values());
  const view = open === undefined ? undefined : views.get(open);
  return (
    <Page
      wide
      documentTitle={`${run.pipeline} ${run.state}`}
      title={
        <span className="flex flex-wrap items-center gap-x-4 gap-y-1">
          {run.pipeline}
          <span className="font-sans text-sm" role="status">
            <StateMark state={run.state} />
          </span>
        </span>
      }
      aside={<RunActions run={run} />}
    >
      <div className="space-y-5">
        {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
        {run.error !== undefined && view?.step?.error === undefined && <Problem error={run.error} />}
        <RunGraph graph={graph} views={views} open={view?.name} now={now} />
        {view === undefined ? (
          <Empty title={`The run has no step ${open ?? ""}`}>Choose one of the graph.</Empty>
        ) : (
          <StepPanel detail={detail} view={view} address={open === address.step ? address : {}} now={now} />
        )}
        <RunFacts run={run} now={now} />
      </div>
    </Page>
  );
}
