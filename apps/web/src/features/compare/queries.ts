import { queryOptions } from "@tanstack/react-query";
import { client } from "../../api/client.ts";

export function comparisonQuery(ids: readonly string[]) {
  return queryOptions({
    queryKey: ["runs.compare", ids],
    queryFn: ({ signal }) => client.call("runs.compare", { query: { ids: ids.join(",") }, signal }),
    enabled: ids.length >= 2,
  });
}

/** Each run by itself, so that no chart waits for the slowest. */
export function runCurvesQuery(runId: string) {
  return queryOptions({
    queryKey: ["runs.curves", runId, "of the run"],
    queryFn: ({ signal }) =>
      client.call("runs.curves", { params: { runId }, query: { branch: -1, buckets: 600 }, signal }),
  });
}
