import { useQueries } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { CurveChart } from "../../charts/curve-chart.tsx";
import { fieldClass } from "../../ui/button.tsx";
import { Loading, Problem } from "../../ui/states.tsx";
import { curveAxes, readCompareAddress } from "./compare-address.ts";
import { groupCurves } from "./group-curves.ts";
import { runCurvesQuery } from "./queries.ts";

const route = getRouteApi("/compare");
const axisNames = { step: "by step", time: "by time since the start", clock: "by time of day" } as const;

/** Metric curves of all runs, a chart a key; how they are drawn is in the address. */
export function CompareCurves({ ids }: { ids: readonly string[] }) {
  const address = route.useSearch();
  const navigate = route.useNavigate();
  const answers = useQueries({ queries: ids.map(runCurvesQuery) });
  const axis = address.axis ?? "step";
  const loaded = answers.map(({ data }) => data);
  const stamp = answers.map(({ dataUpdatedAt }) => dataUpdatedAt).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the stamp stands for the answers, which are a new list at every render
  const groups = useMemo(
    () => groupCurves(ids.map((id, index) => ({ name: id.slice(-8), curves: loaded[index]?.curves ?? [] }))),
    [ids, stamp],
  );
  const failed = answers.find(({ isError }) => isError);
  const change = (part: Record<string, unknown>) =>
    void navigate({ search: readCompareAddress({ ...address, ...part }), replace: true, resetScroll: false });
  return (
    <section aria-label="Curves" className="rounded-xl border border-line bg-card px-5 py-4">
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <h2 className="text-xl">Curves</h2>
        <div className="flex flex-wrap items-center gap-4 text-sm">
          <label className="flex items-center gap-2">
            Smoothing
            <input
              type="range"
              min={0}
              max={99}
              value={address.smooth ?? 0}
              onChange={(event) => change({ smooth: event.target.valueAsNumber })}
              className="accent-leaf"
            />
            <output className="w-9 tabular-nums">{((address.smooth ?? 0) / 100).toFixed(2)}</output>
          </label>
          <label className="flex items-center gap-2">
            <input
              type="checkbox"
              checked={address.log === true}
              onChange={(event) => change({ log: event.target.checked })}
              className="size-4 accent-leaf"
            />
            Log scale
          </label>
          <select
            aria-label="Horizontal axis"
            value={axis}
            onChange={(event) => change({ axis: event.target.value })}
            className={fieldClass}
          >
            {curveAxes.map((name) => (
              <option key={name} value={name}>
                {axisNames[name]}
              </option>
            ))}
          </select>
        </div>
      </div>
      {failed !== undefined && <Problem error={failed.error} retry={() => void failed.refetch()} />}
      {groups.length === 0 &&
        (answers.some(({ isPending }) => isPending) ? (
          <Loading what="curves" />
        ) : (
          <p className="text-sm text-muted">None of these runs logged a metric more than once.</p>
        ))}
      <div className="grid gap-8 xl:grid-cols-2">
        {groups.map(({ title, curves }) => (
          <CurveChart
            key={title}
            title={title}
            curves={curves}
            axis={axis}
            isLogarithmic={address.log === true}
            smoothing={(address.smooth ?? 0) / 100}
            height={280}
          />
        ))}
      </div>
    </section>
  );
}
