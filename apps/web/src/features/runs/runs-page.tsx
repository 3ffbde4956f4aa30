import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { Button, buttonClass, fieldClass } from "../../ui/button.tsx";
import { Page } from "../../ui/page.tsx";
import { Empty, Loading, Problem } from "../../ui/states.tsx";
import { mostCompared } from "../compare/compare-address.ts";
import { readRunFilters, runStates } from "./filters.ts";
import { runsQuery } from "./queries.ts";
import { RunsTable } from "./runs-table.tsx";

const route = getRouteApi("/runs");

export function RunsPage() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const query = useInfiniteQuery(runsQuery(filters));
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const runs = query.data?.pages.flatMap((page) => page.items);
  const change = (name: string, value: string) =>
    void navigate({ search: readRunFilters({ ...filters, [name]: value }), replace: true });
  const isFiltered = Object.keys(filters).length > 0;
  return (
    <Page
      title="Runs"
      aside={
        <>
          {chosen.size > 0 && <Chosen chosen={chosen} clear={() => setChosen(new Set())} />}
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
      {runs !== undefined && runs.length > 0 && <RunsTable runs={runs} chosen={chosen} onChoose={setChosen} />}
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

/** Runs that are marked: what can be done with them. */
function Chosen({ chosen, clear }: { chosen: ReadonlySet<string>; clear: () => void }) {
  return (
    <span role="status" className="flex items-center gap-2 text-sm">
      {chosen.size < 2 || chosen.size > mostCompared ? (
        <span className="text-muted">
          {chosen.size} marked; {chosen.size < 2 ? "mark another to compare" : `${mostCompared} can be compared`}
        </span>
      ) : (
        <Link to="/compare" search={{ runs: [...chosen].join(",") }} className={buttonClass("primary")}>
          Compare {chosen.size}
        </Link>
      )}
      <Button onClick={clear}>Clear</Button>
    </span>
  );
}
