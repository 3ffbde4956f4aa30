import type { RunStep } from "@espalier/contract";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Section } from "../../ui/facts.tsx";
import { Loading, Problem } from "../../ui/states.tsx";
import { whyQuery } from "./queries.ts";

/** Why the step ran or came from the cache: what `espalier why` says, with the parts of the key that differ. */
export function StepWhy({ runId, step }: { runId: string; step: RunStep }) {
  const why = useQuery(whyQuery(runId, step.step, step.branch, step.state));
  return (
    <Section
      title={step.state === "cached" ? "Why it was cached" : "Why it ran"}
      aside={
        why.data?.comparedWith !== undefined && (
          <Link
            to="/runs/$runId"
            params={{ runId: why.data.comparedWith.runId }}
            search={{ step: step.step }}
            className="text-[13px] text-leaf underline underline-offset-2"
          >
            the run it is compared with
          </Link>
        )
      }
    >
      {why.isPending && <Loading what="the reason" />}
      {why.isError && <Problem error={why.error} retry={() => void why.refetch()} />}
      {why.data !== undefined && (
        <>
          <p className="text-sm wrap-anywhere">{why.data.explanation}</p>
          {why.data.differences.length > 0 && <Differences of={why.data.differences} />}
        </>
      )}
    </Section>
  );
}

function Differences({ of }: { of: readonly { part: string; before?: unknown; after?: unknown }[] }) {
  return (
    <table className="mt-3 w-full text-left text-sm">
      <thead className="text-[13px] text-muted">
        <tr>
          {["Part of the key", "Before", "Now"].map((title) => (
            <th key={title} scope="col" className="py-1 pr-4 font-medium">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody className="divide-y divide-line border-t border-line">
        {of.map(({ part, before, after }) => (
          <tr key={part} className="align-top">
            <th scope="row" className="py-1.5 pr-4 font-mono text-[12.5px] font-normal wrap-anywhere">
              {part}
            </th>
            <td className="py-1.5 pr-4 font-mono text-[12.5px] text-muted wrap-anywhere">{shown(before)}</td>
            <td className="py-1.5 font-mono text-[12.5px] wrap-anywhere">{shown(after)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function shown(value: unknown): string {
  if (value === undefined) return "(absent)";
  return typeof value === "string" ? value : JSON.stringify(value);
}
