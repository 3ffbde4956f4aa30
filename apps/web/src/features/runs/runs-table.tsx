import type { Run } from "@espalier/contract";
import { Link } from "@tanstack/react-router";
import { Instant, useNow } from "../../ui/instant.tsx";
import { StateMark } from "../../ui/state-mark.tsx";
import { duration } from "../../ui/words.ts";

const cell = "px-4 py-2.5 align-middle";

/** It scrolls sideways on narrow screens; a region that scrolls can be reached by keyboard (WCAG 2.1.1). */
export function RunsTable({
  runs,
  chosen,
  onChoose,
}: {
  runs: readonly Run[];
  chosen: ReadonlySet<string>;
  onChoose: (chosen: ReadonlySet<string>) => void;
}) {
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    onChoose(next);
  };
  return (
    <section
      aria-label="Runs"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: otherwise the keyboard can not scroll it
      tabIndex={0}
      className="overflow-x-auto rounded-xl border border-line bg-card"
    >
      <table className="w-full min-w-[44rem] text-left text-sm">
        <thead className="border-b border-line text-[13px] text-muted">
          <tr>
            <th scope="col" className="w-10 pl-4">
              <span className="sr-only">Mark</span>
            </th>
            {["Run", "Pipeline", "State", "Stack", "Started by", "Created", "Took"].map((title) => (
              <th key={title} scope="col" className={`${cell} font-medium`}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {runs.map((run) => (
            <tr key={run.id}>
              <td className="w-10 pl-4">
                <input
                  type="checkbox"
                  aria-label={`Mark run ${run.id.slice(-8)}`}
                  checked={chosen.has(run.id)}
                  onChange={() => toggle(run.id)}
                  className="size-4 accent-leaf"
                />
              </td>
              <th scope="row" title={run.id} className={`${cell} font-mono text-[13px] font-normal`}>
                <Link
                  to="/runs/$runId"
                  params={{ runId: run.id }}
                  search={{}}
                  className="text-leaf underline decoration-leaf/40 underline-offset-2 hover:decoration-leaf"
                >
                  {run.id.slice(-8)}
                </Link>
              </th>
              <td className={`${cell} font-medium wrap-break-word`}>{run.pipeline}</td>
              <td className={cell} title={run.error?.message}>
                <StateMark state={run.state} />
              </td>
              <td className={`${cell} wrap-break-word`}>{run.stack}</td>
              <td className={`${cell} text-muted wrap-break-word`}>
                {run.trigger.kind} · {run.trigger.by}
              </td>
              <td className={`${cell} text-muted`}>
                <Instant at={run.createdAt} />
              </td>
              <td className={`${cell} text-muted whitespace-nowrap`}>
                <Took run={run} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Took({ run }: { run: Run }) {
  const now = useNow();
  if (run.startedAt === undefined) return "–";
  return duration((run.finishedAt ?? now) - run.startedAt);
}
