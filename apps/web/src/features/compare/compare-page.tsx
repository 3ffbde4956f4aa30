import type { RunComparison } from "@espalier/contract";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { strokeOf, useColourScheme } from "../../charts/colours.ts";
import { ParallelChart } from "../../charts/parallel-chart.tsx";
import { Digest } from "../../ui/digest.tsx";
import { Page } from "../../ui/page.tsx";
import { StateMark } from "../../ui/state-mark.tsx";
import { Empty, Loading, Problem } from "../../ui/states.tsx";
import { decimal } from "../../ui/words.ts";
import { comparedIds } from "./compare-address.ts";
import { CompareCurves } from "./compare-curves.tsx";
import { comparisonQuery } from "./queries.ts";
import { ValuesTable } from "./values-table.tsx";

const route = getRouteApi("/compare");

export function ComparePage() {
  const { runs } = route.useSearch();
  const ids = useMemo(() => comparedIds(runs), [runs]);
  const query = useQuery(comparisonQuery(ids));
  if (ids.length < 2) {
    return (
      <Page title="Compare">
        <Empty title="Choose two runs or more" command="espalier runs compare <run> <run>">
          Mark them on the{" "}
          <Link to="/runs" className="text-leaf underline">
            Runs page
          </Link>
          , then press Compare.
        </Empty>
      </Page>
    );
  }
  return (
    <Page wide title={`Compare ${ids.length} runs`}>
      <div className="space-y-5">
        {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
        {query.isPending && <Loading what="the comparison" />}
        {query.data !== undefined && <Tables of={query.data} ids={ids} />}
        <CompareCurves ids={ids} />
      </div>
    </Page>
  );
}

function Tables({ of: { runs, params, metrics, outputs }, ids }: { of: RunComparison; ids: readonly string[] }) {
  const scheme = useColourScheme();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another scheme has other colours
  const colours = useMemo(() => runs.map((_, index) => strokeOf(index).colour), [runs, scheme]);
  const heads = runs.map((run, index) => ({
    id: run.id,
    head: (
      <span className="flex items-center gap-2 whitespace-nowrap">
        <svg aria-hidden="true" viewBox="0 0 10 10" className="size-2.5">
          <circle cx="5" cy="5" r="5" fill={colours[index]} />
        </svg>
        <Link
          to="/runs/$runId"
          params={{ runId: run.id }}
          search={{}}
          className="font-mono text-leaf underline underline-offset-2"
        >
          {run.id.slice(-8)}
        </Link>
        {ids.length > 2 && (
          <Link
            to="/compare"
            search={(search) => ({ ...search, runs: ids.filter((id) => id !== run.id).join(",") })}
            aria-label={`Leave out ${run.id.slice(-8)}`}
            className="rounded px-1 text-muted hover:bg-sunken"
          >
            ×
          </Link>
        )}
      </span>
    ),
  }));
  const different = [
    ...params.filter(({ differs }) => differs).map(({ name, values }) => ({ name, values: values.map(axisValue) })),
    ...metrics
      .filter(({ differs }) => differs)
      .map(({ step, key, values }) => ({ name: `${step} · ${key}`, values: values.map(axisValue) })),
  ].slice(0, 12);
  return (
    <>
      <ValuesTable
        title="Runs"
        runs={heads}
        rows={[
          { name: "State", values: runs.map(({ state }) => <StateMark key={state} state={state} />), differs: true },
          ...(["pipeline", "stack"] as const).map((name) => ({
            name: name === "pipeline" ? "Pipeline" : "Stack",
            values: runs.map((run) => run[name]),
            differs: new Set(runs.map((run) => run[name])).size > 1,
          })),
        ]}
      />
      <ValuesTable
        title="Parameters"
        runs={heads}
        rows={params.map(({ name, values, differs }) => ({
          name,
          differs,
          values: values.map((value) => (value === null ? null : <code key={name}>{String(value)}</code>)),
        }))}
      />
      <ValuesTable
        title="Metrics"
        runs={heads}
        rows={metrics.map(({ step, key, values, differs }) => ({
          name: `${step} · ${key}`,
          differs,
          values: values.map((value) => (value === null ? null : decimal(value))),
        }))}
      />
      {different.length > 1 && (
        <section className="rounded-xl border border-line bg-card px-5 py-4">
          <h2 className="mb-3 text-xl">What differs, side by side</h2>
          <ParallelChart
            axes={different.map(({ name }) => name)}
            rows={runs.map((run, index) => ({
              name: run.id.slice(-8),
              stroke: index,
              values: different.map(({ values }) => values[index] ?? null),
            }))}
          />
        </section>
      )}
      <ValuesTable
        title="Outputs"
        runs={heads}
        rows={outputs.map(({ step, output, digests, differs }) => ({
          name: `${step}.${output}`,
          differs,
          values: digests.map((digest) => (digest === null ? null : <Digest key={digest} digest={digest} />)),
        }))}
      />
    </>
  );
}

function axisValue(value: string | number | boolean | null): string | number | null {
  return typeof value === "boolean" ? String(value) : value;
}
