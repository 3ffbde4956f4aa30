import { infiniteQueryOptions } from "@tanstack/react-query";
import { client } from "../../api/client.ts";
import type { RunFilters } from "./filters.ts";

const pageSize = 100;
const refreshMilliseconds = 5_000;

/** Runs, newest first, a page at a time. */
export function runsQuery({ pipeline, state, search }: RunFilters) {
  return infiniteQueryOptions({
    queryKey: ["runs.list", { pipeline, state, search }],
    queryFn: ({ pageParam, signal }) =>
      client.call("runs.list", {
        query: { pipeline, state, search, limit: pageSize, ...(pageParam === undefined ? {} : { cursor: pageParam }) },
        signal,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next,
    // A refresh asks for every page again, so only the first is kept fresh.
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : refreshMilliseconds),
  });
}
