import type { ReactNode } from "react";
import { ScrollRegion } from "../../ui/scroll-region.tsx";

export interface ComparedValue {
  name: string;
  /** One a run, in the runs' order. */
  values: readonly ReactNode[];
  differs: boolean;
}

/** What differs first; what is the same everywhere is folded away. */
export function ValuesTable({
  title,
  runs,
  rows,
}: {
  title: string;
  /** The heads of the columns. */
  runs: readonly { id: string; head: ReactNode }[];
  rows: readonly ComparedValue[];
}) {
  const different = rows.filter(({ differs }) => differs);
  const same = rows.filter(({ differs }) => !differs);
  if (rows.length === 0) return null;
  return (
    <section aria-label={title} className="overflow-hidden rounded-xl border border-line bg-card">
      <h2 className="px-5 pt-4 text-xl">{title}</h2>
      {different.length === 0 ? (
        <p className="px-5 py-3 text-sm text-muted">All the same.</p>
      ) : (
        <Table runs={runs} rows={different} title={`${title} that differ`} />
      )}
      {same.length > 0 && (
        <details className="border-t border-line">
          <summary className="px-5 py-3 text-sm text-muted">The same in all: {same.length}</summary>
          <Table runs={runs} rows={same} title={`${title} that are the same`} />
        </details>
      )}
    </section>
  );
}

function Table({
  title,
  runs,
  rows,
}: {
  title: string;
  runs: readonly { id: string; head: ReactNode }[];
  rows: readonly ComparedValue[];
}) {
  return (
    <ScrollRegion label={title}>
      <table className="w-full text-left text-sm">
        <thead className="text-[13px] text-muted">
          <tr>
            <th scope="col" className="sticky left-0 bg-card px-5 py-2 font-medium">
              Name
            </th>
            {runs.map(({ id, head }) => (
              <th key={id} scope="col" className="px-4 py-2 font-medium">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line border-t border-line">
          {rows.map(({ name, values }) => (
            <tr key={name}>
              <th scope="row" className="sticky left-0 bg-card px-5 py-2 font-normal wrap-anywhere">
                {name}
              </th>
              {runs.map(({ id }, index) => (
                <td key={id} className="px-4 py-2 wrap-anywhere">
                  {values[index] ?? <span className="text-muted">–</span>}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollRegion>
  );
}
