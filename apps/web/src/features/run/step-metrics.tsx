import type { Curve } from "@espalier/contract";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo } from "react";
import { Section } from "../../ui/facts.tsx";
import { Problem } from "../../ui/states.tsx";
import { decimal } from "../../ui/words.ts";
import { stepCurvesQuery } from "./queries.ts";

const CurveChart = lazy(async () => ({ default: (await import("../../charts/curve-chart.tsx")).CurveChart }));

/** What the attempt logged: a curve where there is one, the value where there is only one point. */
export function StepMetrics({
  runId,
  step,
  branch,
  attemptId,
  isLive,
}: {
  runId: string;
  step: string;
  branch: number;
  /** The attempt that is shown; of a cached step the one that it came from. */
  attemptId: string | undefined;
  isLive: boolean;
}) {
  const query = useQuery(stepCurvesQuery(runId, step, branch, isLive));
  const curves = query.data?.curves.filter((curve) => curve.attemptId === attemptId) ?? [];
  if (query.isError) {
    return (
      <Section title="Metrics">
        <Problem error={query.error} retry={() => void query.refetch()} />
      </Section>
    );
  }
  if (curves.length === 0) return null;
  const single = curves.filter(({ points }) => points === 1);
  const lines = curves.filter(({ points }) => points > 1);
  return (
    <Section title="Metrics">
      {single.length > 0 && (
        <dl className="mb-4 flex flex-wrap gap-x-8 gap-y-2">
          {single.map(({ key, buckets }) => (
            <div key={key}>
              <dt className="text-[13px] text-muted wrap-anywhere">{key}</dt>
              <dd className="text-lg tabular-nums">{decimal(buckets[0]?.mean ?? "NaN")}</dd>
            </div>
          ))}
        </dl>
      )}
      <div className="grid gap-6 lg:grid-cols-2">
        <Suspense fallback={null}>
          {lines.map((curve) => (
            <SmallChart key={curve.key} curve={curve} />
          ))}
        </Suspense>
      </div>
      {(query.data?.leftOut ?? 0) > 0 && (
        <p className="mt-3 text-sm text-muted">{query.data?.leftOut} more are not drawn here.</p>
      )}
    </Section>
  );
}

function SmallChart({ curve }: { curve: Curve }) {
  const curves = useMemo(() => [{ name: curve.key, curve, stroke: 0 }], [curve]);
  return <CurveChart title={curve.key} curves={curves} axis={curve.by} height={180} />;
}
