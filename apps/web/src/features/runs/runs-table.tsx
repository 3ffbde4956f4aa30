import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import { columnName } from "./columns.ts";
import type { RunsRow } from "./group-runs.ts";
import { RunCells } from "./run-cells.tsx";

const rowHeight = 44;
/** So many rows before the end the next page is asked for. */
const ahead = 20;

/**
 * Only the rows in sight are rendered, however many there are: what lies above and below is two empty rows of its height. It scrolls both ways;
 * a region that scrolls can be reached by keyboard (WCAG 2.1.1).
 */
export function RunsTable({
  rows,
  columns,
  chosen,
  onChoose,
  onNearEnd,
}: {
  rows: readonly RunsRow[];
  columns: readonly string[];
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
  onNearEnd: () => void;
}) {
  const box = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const first = items[0]?.start ?? 0;
  const last = items.at(-1);
  const below = virtual.getTotalSize() - (last?.end ?? 0);
  const isNearEnd = last !== undefined && last.index >= rows.length - ahead;
  useEffect(() => {
    if (isNearEnd) onNearEnd();
  }, [isNearEnd, onNearEnd]);
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    onChoose(next);
  };
  return (
    <section
      ref={box}
      aria-label="Runs"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: otherwise the keyboard can not scroll it
      tabIndex={0}
      className="max-h-[calc(100dvh-15rem)] min-h-64 overflow-auto rounded-xl border border-line bg-card"
    >
      <table className="w-full min-w-[44rem] text-left text-sm" aria-rowcount={rows.length + 1}>
        <thead className="sticky top-0 z-10 bg-card text-[13px] text-muted shadow-[0_1px_0_var(--c-line)]">
          <tr>
            <th scope="col" className="w-10 pl-4">
              <span className="sr-only">Mark</span>
            </th>
            {["Run", ...columns.map(columnName)].map((title) => (
              <th key={title} scope="col" className="px-4 py-2.5 font-medium whitespace-nowrap">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <Gap height={first} />}
          {items.map(({ index }) => {
            const row = rows[index];
            if (row === undefined) return null;
            return (
              <tr
                key={row.kind === "run" ? row.run.id : `group ${row.name}`}
                aria-rowindex={index + 2}
                style={{ height: rowHeight }}
                className="border-b border-line"
              >
                {row.kind === "group" ? (
                  <th scope="rowgroup" colSpan={columns.length + 2} className="bg-sunken px-4 font-medium">
                    {row.name} <span className="font-normal text-muted">· {row.count}</span>
                  </th>
                ) : (
                  <RunCells run={row.run} columns={columns} isChosen={chosen.has(row.run.id)} onToggle={toggle} />
                )}
              </tr>
            );
          })}
          {below > 0 && <Gap height={below} />}
        </tbody>
      </table>
    </section>
  );
}

function Gap({ height }: { height: number }) {
  return (
    <tr>
      <td style={{ height }} />
    </tr>
  );
}
