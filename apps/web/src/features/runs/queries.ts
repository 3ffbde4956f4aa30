import { infiniteQueryOptions } from "@tanstack/react-query";
import { client } from "../../api/client.ts";
import type { RunFilters } from "./filters.ts";

const pageSize = 100;

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
  });
}
