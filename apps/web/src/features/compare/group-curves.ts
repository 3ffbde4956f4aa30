import type { Curve } from "@espalier/contract";
import type { NamedCurve } from "../../charts/curve-chart.tsx";

export interface CurveGroup {
  /** `step · key`. */
  title: string;
  curves: NamedCurve[];
}

/**
 * One chart a step and key. Of a step that was tried again the last attempt counts: its id is the greatest, as ids are minted in order. What no
 * run logged more than once is no curve; the table has its value.
 */
export function groupCurves(runs: readonly { name: string; curves: readonly Curve[] }[]): CurveGroup[] {
  const groups = new Map<string, CurveGroup>();
  for (const [stroke, { name, curves }] of runs.entries()) {
    const newest = new Map<string, Curve>();
    for (const curve of curves) {
      const title = `${curve.step} · ${curve.key}`;
      const other = newest.get(title);
      if (other === undefined || other.attemptId < curve.attemptId) newest.set(title, curve);
    }
    for (const [title, curve] of newest) {
      const group = groups.get(title) ?? { title, curves: [] };
      group.curves.push({ name, curve, stroke });
      groups.set(title, group);
    }
  }
  return [...groups.values()]
    .filter(({ curves }) => curves.some(({ curve }) => curve.points > 1))
    .sort((a, b) => a.title.localeCompare(b.title));
}
