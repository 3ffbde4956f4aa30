import type { MovePlan, StackInfo } from "@espalier/contract";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { fieldClass } from "../../ui/button.tsx";
import { Page } from "../../ui/page.tsx";
import { ScrollRegion } from "../../ui/scroll-region.tsx";
import { Loading, Problem } from "../../ui/states.tsx";
import { bytes, duration, plural } from "../../ui/words.ts";
import { branchesOf, changedMilestones, milestones } from "./milestones.ts";
import { doctorQuery, movePlanQuery, stacksQuery } from "./queries.ts";

const route = getRouteApi("/stacks");

/** The matrix of milestones and stacks, what a move would carry, and what the doctor says of a stack. */
export function StacksPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(stacksQuery());
  const stacks = query.data?.items ?? [];
  const usual = stacks.find(({ isDefault }) => isDefault) ?? stacks[0];
  const from = stacks.find(({ name }) => name === search.stack) ?? usual;
  const to = stacks.find(({ name }) => name === search.to) ?? stacks.find(({ name }) => name !== from?.name);
  return (
    <Page wide title="Stacks">
      {query.isPending && <Loading what="the stacks" />}
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      {from !== undefined && (
        <div className="space-y-5">
          <Matrix stacks={stacks} from={from} />
          {to === undefined ? (
            <p className="text-muted">
              The project has one stack. Add another under <code className="font-mono">stacks:</code> in espalier.yaml,
              or ask which: <code className="font-mono">espalier advise</code>.
            </p>
          ) : (
            <section className="rounded-xl border border-line bg-card px-5 py-4">
              <div className="mb-3 flex flex-wrap items-center gap-3">
                <h2 className="text-xl">A move</h2>
                {(["stack", "to"] as const).map((side) => (
                  <label key={side} className="flex items-center gap-2 text-sm">
                    {side === "stack" ? "from" : "to"}
                    <select
                      className={fieldClass}
                      value={side === "stack" ? from.name : to.name}
                      onChange={(event) =>
                        void navigate({ search: { ...search, [side]: event.target.value }, replace: true })
                      }
                    >
                      {stacks.map(({ name }) => (
                        <option key={name}>{name}</option>
                      ))}
                    </select>
                  </label>
                ))}
              </div>
              <Move from={from.name} to={to.name} />
            </section>
          )}
          <Doctor stack={from.name} />
        </div>
      )}
    </Page>
  );
}

function Matrix({ stacks, from }: { stacks: readonly StackInfo[]; from: StackInfo }) {
  const changed = new Map(stacks.map((stack) => [stack.name, changedMilestones(from, stack)]));
  return (
    <ScrollRegion label="Milestones and stacks" className="rounded-xl border border-line bg-card">
      <table className="w-full text-left text-sm">
        <thead>
          <tr className="border-b border-line text-muted">
            <th scope="col" className="px-4 py-2 font-medium">
              Milestone
            </th>
            {stacks.map(({ name, isDefault }) => (
              <th key={name} scope="col" className="px-4 py-2 font-medium">
                {name}
                {isDefault && <span className="ml-1 font-normal">default</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {milestones.map(({ number, name, trunk }) => (
            <tr key={number} className="border-b border-line align-top last:border-0">
              <th scope="row" className="px-4 py-2 font-medium whitespace-nowrap">
                {number} {name}
              </th>
              {stacks.map((stack) => (
                <td
                  key={stack.name}
                  className={`px-4 py-2 ${changed.get(stack.name)?.has(number) ? "bg-leaf-soft" : ""}`}
                >
                  {trunk !== undefined && <div className="text-muted">{trunk}</div>}
                  {branchesOf(stack, number).map(({ place, tool, provider, verified }) => (
                    <div key={place} title={verified}>
                      <span className="font-medium">{tool}</span> <span className="text-muted">{provider}</span>
                      <span className="block max-w-xs text-[13px] text-muted">{verified}</span>
                    </div>
                  ))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollRegion>
  );
}

function Move({ from, to }: { from: string; to: string }) {
  const query = useQuery(movePlanQuery(from, to));
  if (from === to) return <p className="text-muted">Choose two different stacks.</p>;
  if (query.isPending) return <Loading what="the plan" />;
  if (query.isError) return <Problem error={query.error} retry={() => void query.refetch()} />;
  return <MoveLines plan={query.data} />;
}

function MoveLines({ plan }: { plan: MovePlan }) {
  const { from, to, sameStore, artifacts, missing, freeBytes, time, dollarsAMonth, remaining, problems } = plan;
  return (
    <div className="space-y-2 text-sm">
      <p>
        {plural(artifacts, "artifact")} on record ({bytes(plan.bytes)}).{" "}
        {sameStore
          ? "Nothing has to be carried: both keep them in one place."
          : `${plural(missing.artifacts, "artifact")} would be carried, at most ${bytes(missing.bytes)}${freeBytes === undefined ? "" : `; ${bytes(freeBytes)} are free there`}.`}
        {time !== undefined &&
          ` It takes ${duration(1000 * time.low)} to ${duration(1000 * time.high)}, assuming ${time.assumed}.`}
        {dollarsAMonth !== undefined &&
          dollarsAMonth > 0 &&
          ` Keeping them there costs ${dollarsAMonth.toFixed(2)} $ a month by the manifest.`}
      </p>
      {remaining.map((line) => (
        <p key={line}>By hand: {line}</p>
      ))}
      {problems.map(({ message, at, hint }) => (
        <p key={message} className="text-bad">
          {at !== undefined && <code className="mr-2 font-mono">{at}</code>}
          {message} {hint}
        </p>
      ))}
      <code className="inline-block rounded-md bg-sunken px-3 py-1.5 font-mono text-[13px] select-all">
        espalier move {from}..{to}
      </code>
    </div>
  );
}

const marks = { ok: "✓", warn: "!", fail: "✗" } as const;
const colours = { ok: "text-leaf", warn: "text-ink", fail: "text-bad" } as const;

function Doctor({ stack }: { stack: string }) {
  const query = useQuery(doctorQuery(stack));
  return (
    <section className="rounded-xl border border-line bg-card px-5 py-4">
      <h2 className="mb-3 text-xl">The doctor on {stack}</h2>
      {query.isPending && <Loading what="what the doctor says" />}
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      <ul className="space-y-1.5 text-sm">
        {query.data?.checks.map(({ name, status, message, at, means, hint }) => (
          <li key={`${name} ${at ?? ""} ${message}`} className="flex gap-3">
            <span className={`w-4 font-medium ${colours[status]}`}>
              <span aria-hidden="true">{marks[status]}</span>
              <span className="sr-only">{status}</span>
            </span>
            <span className="min-w-0 wrap-anywhere">
              <span className="font-medium">{name}</span>{" "}
              {at !== undefined && <code className="font-mono text-[13px]">{at}</code>} {message}
              {status !== "ok" && means !== undefined && <span className="block text-muted">{means}</span>}
              {status !== "ok" && hint !== undefined && <span className="block text-muted">Next: {hint}</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
