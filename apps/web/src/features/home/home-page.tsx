import type { StackInfo } from "@espalier/contract";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { client } from "../../api/client.ts";
import { fieldClass } from "../../ui/button.tsx";
import { Instant } from "../../ui/instant.tsx";
import { Page } from "../../ui/page.tsx";
import { StateMark } from "../../ui/state-mark.tsx";
import { Loading, Problem } from "../../ui/states.tsx";
import { plural } from "../../ui/words.ts";
import { branchesOf, changedMilestones, type Milestone, milestones } from "../stacks/milestones.ts";
import { stacksQuery } from "../stacks/queries.ts";

const route = getRouteApi("/");

/** The project as an espalier: the milestones along the trunk, and on each the tools of the chosen stack. */
export function HomePage() {
  const { stack: asked } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(stacksQuery());
  const stacks = query.data?.items ?? [];
  const usual = stacks.find(({ isDefault }) => isDefault) ?? stacks[0];
  const chosen = stacks.find(({ name }) => name === asked) ?? usual;
  const changed = chosen === undefined || usual === undefined ? new Set<number>() : changedMilestones(usual, chosen);
  return (
    <Page
      title="The tree"
      aside={
        stacks.length > 1 && (
          <label className="flex items-center gap-2 text-sm">
            Stack
            <select
              className={fieldClass}
              value={chosen?.name ?? ""}
              onChange={(event) => void navigate({ search: { stack: event.target.value }, replace: true })}
            >
              {stacks.map(({ name, isDefault }) => (
                <option key={name} value={name}>
                  {isDefault ? `${name} (default)` : name}
                </option>
              ))}
            </select>
          </label>
        )
      }
    >
      {query.isPending && <Loading what="the stacks" />}
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      {chosen !== undefined && (
        <>
          <p className="mb-6 max-w-prose text-muted">
            {changed.size === 0
              ? "The components are the same everywhere; the tool behind each is one line of the stack."
              : `On ${chosen.name} ${plural(changed.size, "milestone")} of thirteen ${changed.size === 1 ? "is" : "are"} done by other tools than on ${usual?.name ?? ""}. The pipeline stays as it is.`}
          </p>
          <ol className="relative grid gap-x-16 gap-y-4 md:grid-cols-2 before:absolute before:inset-y-2 before:left-1/2 before:hidden before:w-1 before:-translate-x-1/2 before:rounded-full before:bg-leaf/50 md:before:block">
            {milestones.map((milestone) => (
              <Twig
                key={milestone.number}
                milestone={milestone}
                stack={chosen}
                isChanged={changed.has(milestone.number)}
              />
            ))}
          </ol>
        </>
      )}
    </Page>
  );
}

function Twig({ milestone, stack, isChanged }: { milestone: Milestone; stack: StackInfo; isChanged: boolean }) {
  const { number, name, trunk } = milestone;
  const isLeft = number % 2 === 1;
  const branches = branchesOf(stack, number);
  return (
    <li
      className={`relative rounded-xl border bg-card px-5 py-4 ${isChanged ? "border-leaf" : "border-line"} after:absolute after:top-1/2 after:hidden after:h-0.5 after:w-8 after:bg-leaf/50 md:after:block ${
        isLeft ? "md:col-start-1 after:left-full" : "md:col-start-2 after:right-full"
      }`}
    >
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <h2 className="font-serif text-lg">
          <span className="mr-2 text-muted">{number}</span>
          {name}
        </h2>
        <Activity milestone={number} />
      </div>
      <ul className="mt-1 space-y-0.5 text-sm">
        {trunk !== undefined && <li>{trunk}, on every stack</li>}
        {branches.map(({ place, tool, provider, verified }) => (
          <li key={place}>
            <span className="font-medium">{tool}</span> <span className="text-muted">{provider}</span>
            <span className="block text-[13px] text-muted wrap-anywhere">{verified}</span>
          </li>
        ))}
        {trunk === undefined && branches.length === 0 && <li className="text-muted">nothing yet</li>}
      </ul>
      {isChanged && <p className="mt-2 text-[13px] text-leaf">another tool than by default</p>}
    </li>
  );
}

/** What happened there last; each asks for itself, so that none waits for the slowest. */
function Activity({ milestone }: { milestone: number }): ReactNode {
  const asks = { 1: "datasets.list", 4: "runs.list", 8: "models.list", 11: "endpoints.list" } as const;
  const name = asks[milestone as keyof typeof asks];
  const query = useQuery({
    queryKey: ["home", milestone],
    enabled: name !== undefined,
    queryFn: async (): Promise<ReactNode> => {
      switch (name) {
        case "datasets.list":
          return plural((await client.call(name, { query: { limit: 100 } })).items.length, "dataset");
        case "models.list":
          return plural((await client.call(name, { query: { limit: 100 } })).items.length, "model");
        case "endpoints.list": {
          const { items } = await client.call(name, { query: { limit: 100 } });
          const ready = items.filter(({ state }) => state === "ready").length;
          return items.length === 0 ? "no endpoint" : `${ready} of ${plural(items.length, "endpoint")} ready`;
        }
        case "runs.list": {
          const [run] = (await client.call(name, { query: { limit: 1 } })).items;
          if (run === undefined) return "no run yet";
          return (
            <Link to="/runs/$runId" params={{ runId: run.id }} search={{}} className="inline-flex items-center gap-2">
              <StateMark state={run.state} /> <Instant at={run.createdAt} />
            </Link>
          );
        }
      }
    },
  });
  return <span className="text-[13px] text-muted">{query.data}</span>;
}
