import type { RunStep } from "@espalier/contract";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Button } from "../../ui/button.tsx";
import { Section } from "../../ui/facts.tsx";
import { StateMark } from "../../ui/state-mark.tsx";
import { branchWords } from "./steps-of-run.ts";

const shownAtFirst = 24;

/** Branches of a map, or trials of a search: state and item of each, as links to their own panels. */
export function StepBranches({ branches, open }: { branches: readonly RunStep[]; open: number | undefined }) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? branches : branches.slice(0, shownAtFirst);
  return (
    <Section title={`Branches: ${branchWords(branches)}`}>
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(15rem,1fr))] gap-x-4 gap-y-1 text-sm">
        {shown.map((branch) => (
          <li key={branch.branch} className="flex min-w-0 items-center gap-2">
            <Link
              to="."
              search={{ step: branch.step, branch: branch.branch }}
              resetScroll={false}
              aria-current={branch.branch === open ? "true" : undefined}
              className="text-leaf underline underline-offset-2 aria-[current=true]:font-semibold"
            >
              {branch.branch}
            </Link>
            <StateMark state={branch.state} />
            {branch.item !== undefined && (
              <code className="truncate font-mono text-[12px] text-muted" title={JSON.stringify(branch.item)}>
                {itemWords(branch.item)}
              </code>
            )}
          </li>
        ))}
      </ul>
      {branches.length > shown.length && (
        <Button className="mt-3" onClick={() => setWhole(true)}>
          Show all {branches.length}
        </Button>
      )}
    </Section>
  );
}

function itemWords(item: unknown): string {
  if (typeof item !== "object" || item === null || Array.isArray(item)) return JSON.stringify(item);
  return Object.entries(item)
    .map(
      ([name, value]) => `${name}=${typeof value === "number" ? Number(value.toPrecision(4)) : JSON.stringify(value)}`,
    )
    .join(" ");
}
