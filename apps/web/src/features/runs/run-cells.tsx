import type { Run } from "@espalier/contract";
import { Link } from "@tanstack/react-router";
import { memo, type ReactNode } from "react";
import { Instant, useNow } from "../../ui/instant.tsx";
import { StateMark } from "../../ui/state-mark.tsx";
import { duration } from "../../ui/words.ts";
import { isPlain, type PlainColumn } from "./columns.ts";

const cell = "max-w-80 truncate px-4 align-middle whitespace-nowrap";

/** One run's cells. Remembered by their run: while the table scrolls, rows in sight are not drawn again. */
export const RunCells = memo(function RunCells({
  run,
  columns,
  isChosen,
  onToggle,
}: {
  run: Run;
  columns: readonly string[];
  isChosen: boolean;
  onToggle: (id: string) => void;
}) {
  return (
    <>
      <td className="w-10 pl-4">
        <input
          type="checkbox"
          aria-label={`Mark run ${run.id.slice(-8)}`}
          checked={isChosen}
          onChange={() => onToggle(run.id)}
          className="block size-4 accent-leaf"
        />
      </td>
      <th scope="row" title={run.id} className={`${cell} font-mono text-[13px] font-normal`}>
        <Link
          to="/runs/$runId"
          params={{ runId: run.id }}
          search={{}}
          preload={false}
          className="text-leaf underline decoration-leaf/40 underline-offset-2 hover:decoration-leaf"
        >
          {run.id.slice(-8)}
        </Link>
      </th>
      {columns.map((column) => (
        <td key={column} className={cell}>
          {isPlain(column) ? plainCell(column, run) : parameter(run, column.slice("params.".length))}
        </td>
      ))}
    </>
  );
});

function plainCell(column: PlainColumn, run: Run): ReactNode {
  if (column === "pipeline") return <span className="font-medium">{run.pipeline}</span>;
  if (column === "state") {
    return (
      <span title={run.error?.message}>
        <StateMark state={run.state} />
      </span>
    );
  }
  if (column === "stack") return run.stack;
  if (column === "by") return <span className="text-muted">{`${run.trigger.kind} · ${run.trigger.by}`}</span>;
  if (column === "created") return <Instant at={run.createdAt} className="text-muted" />;
  return (
    <span className="text-muted">
      <Took run={run} />
    </span>
  );
}

function parameter(run: Run, name: string): ReactNode {
  const value = run.params[name];
  return value === undefined ? (
    <span className="text-muted">–</span>
  ) : (
    <code title={String(value)}>{String(value)}</code>
  );
}

function Took({ run }: { run: Run }) {
  const now = useNow();
  if (run.startedAt === undefined) return "–";
  return duration((run.finishedAt ?? now) - run.startedAt);
}
