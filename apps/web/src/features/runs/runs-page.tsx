import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import { Button, buttonClass, fieldClass } from "../../ui/button.tsx";
import { Page } from "../../ui/page.tsx";
import { Empty, Loading, Problem } from "../../ui/states.tsx";
import { plural } from "../../ui/words.ts";
import { mostCompared } from "../compare/compare-address.ts";
import { chosenColumns, rememberColumns } from "./columns.ts";
import { readRunFilters, runStates } from "./filters.ts";
import { parameterNames, rowsOf } from "./group-runs.ts";
import { runsQuery } from "./queries.ts";
import { RunsTable } from "./runs-table.tsx";
import { SearchField } from "./search-field.tsx";
import { TableChoices } from "./table-choices.tsx";

const route = getRouteApi("/runs");

export function RunsPage() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const query = useInfiniteQuery(runsQuery(filters));
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const { data } = query;
  const runs = useMemo(() => data?.pages.flatMap((page) => page.items), [data]);
  const change = (name: string, value: string) =>
    void navigate({ search: readRunFilters({ ...filters, [name]: value }), replace: true });
  const isFiltered = [filters.pipeline, filters.state, filters.search].some((filter) => filter !== undefined);
  const columns = useMemo(() => chosenColumns(filters.columns), [filters.columns]);
  const rows = useMemo(() => rowsOf(runs ?? [], filters.group), [runs, filters.group]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return (
    <Page
      wide
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
          <TableChoices
            columns={columns}
            parameters={parameterNames(runs ?? [])}
            group={filters.group}
            onColumns={(names) => change("columns", rememberColumns(names))}
            onGroup={(group) => change("group", group)}
          />
        </>
      }
    >
      <SearchField search={filters.search} onSearch={(search) => change("search", search)} />
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      {runs === undefined && !query.isError && <Loading what="runs" />}
      {runs?.length === 0 &&
        (isFiltered ? (
          <Empty title="No run matches">Change the search, or choose another pipeline or state.</Empty>
        ) : (
          <Empty title="Nothing has run yet" command="espalier run train" />
        ))}
      {runs !== undefined && runs.length > 0 && (
        <RunsTable rows={rows} columns={columns} chosen={chosen} onChoose={setChosen} onNearEnd={more} />
      )}
      {runs !== undefined && runs.length > 0 && (
        <p role="status" className="mt-2 text-[13px] text-muted">
          {plural(runs.length, "run")} loaded{query.hasNextPage ? "; scroll for older ones" : ", that is all"}
          {query.isFetchingNextPage ? "…" : ""}
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
