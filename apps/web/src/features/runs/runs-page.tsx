import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Button, fieldClass } from "../../ui/button.tsx";
import { Page } from "../../ui/page.tsx";
import { Empty, Loading, Problem } from "../../ui/states.tsx";
import { readRunFilters, runStates } from "./filters.ts";
import { runsQuery } from "./queries.ts";
import { RunsTable } from "./runs-table.tsx";

const route = getRouteApi("/runs");

export function RunsPage() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const query = useInfiniteQuery(runsQuery(filters));
  const runs = query.data?.pages.flatMap((page) => page.items);
  const change = (name: string, value: string) =>
    void navigate({ search: readRunFilters({ ...filters, [name]: value }), replace: true });
  const isFiltered = Object.keys(filters).length > 0;
  return (
    <Page
      title="Runs"
      aside={
        <>
          <input
            aria-label="Pipeline"
            placeholder="Pipeline"
            value={filters.pipeline ?? ""}
            onChange={(event) => change("pipeline", event.target.value)}
            className={fieldClass}
          />
          <select
            aria-label="State"
            value={filters.state ?? ""}
            onChange={(event) => change("state", event.target.value)}
            className={fieldClass}
          >
            <option value="">any state</option>
            {runStates.map((state) => (
              <option key={state}>{state}</option>
            ))}
          </select>
        </>
      }
    >
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      {runs === undefined && !query.isError && <Loading what="runs" />}
      {runs?.length === 0 &&
        (isFiltered ? (
          <Empty title="No run matches">Choose another pipeline or state.</Empty>
        ) : (
          <Empty title="Nothing has run yet" command="espalier run train" />
        ))}
      {runs !== undefined && runs.length > 0 && <RunsTable runs={runs} />}
      {query.hasNextPage && (
        <p className="mt-4 text-center">
          <Button disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {query.isFetchingNextPage ? "Loading…" : "Older runs"}
          </Button>
        </p>
      )}
    </Page>
  );
}
