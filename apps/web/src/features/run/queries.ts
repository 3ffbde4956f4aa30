import { queryOptions } from "@tanstack/react-query";
import { client } from "../../api/client.ts";
import { terminalRunStates } from "./steps-of-run.ts";

/** A run that is over never changes; one that is not is asked for again when the server tells of a change (api/live.ts). */
export function runQuery(runId: string) {
  return queryOptions({
    queryKey: ["runs.get", runId],
    queryFn: ({ signal }) => client.call("runs.get", { params: { runId }, signal }),
    staleTime: ({ state }) =>
      state.data !== undefined && terminalRunStates.includes(state.data.run.state) ? Number.POSITIVE_INFINITY : 5_000,
  });
}

/** The pipeline as it was when the run began: commands, environments, resources. */
export function runPipelineQuery(runId: string) {
  return queryOptions({
    queryKey: ["runs.pipeline", runId],
    queryFn: ({ signal }) => client.call("runs.pipeline", { params: { runId }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** `state` is part of the key: the answer changes when the step's state does, and only then. */
export function whyQuery(runId: string, step: string, branch: number, state: string) {
  return queryOptions({
    queryKey: ["runs.why", runId, step, branch, state],
    queryFn: ({ signal }) => client.call("runs.why", { params: { runId, step }, query: { branch }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function approvalsQuery() {
  return queryOptions({
    queryKey: ["approvals.list", "waiting"],
    queryFn: ({ signal }) => client.call("approvals.list", { query: { state: "waiting" }, signal }),
  });
}

/** Curves of one step, or of one branch of it. Those of a step that is over never change. */
export function stepCurvesQuery(runId: string, step: string, branch: number, isLive: boolean) {
  return queryOptions({
    queryKey: ["runs.curves", runId, step, branch],
    queryFn: ({ signal }) =>
      client.call("runs.curves", { params: { runId }, query: { step, branch, buckets: 300 }, signal }),
    refetchInterval: isLive ? 3_000 : false,
  });
}
