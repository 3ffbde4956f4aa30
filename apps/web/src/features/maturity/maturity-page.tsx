import { useQuery } from "@tanstack/react-query";
import { client } from "../../api/client.ts";
import { Instant } from "../../ui/instant.tsx";
import { Page } from "../../ui/page.tsx";
import { Loading, Problem } from "../../ui/states.tsx";

/** The project held against published models, by what its record proves. */
export function MaturityPage() {
  const query = useQuery({ queryKey: ["maturity.get"], queryFn: () => client.call("maturity.get"), staleTime: 60_000 });
  return (
    <Page title="Maturity">
      {query.isPending && <Loading what="the evidence" />}
      {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
      <div className="space-y-5">
        {query.data?.models.map(({ model, name, source, level, levelName, levels, missing }) => (
          <section key={model} className="rounded-xl border border-line bg-card px-5 py-4">
            <h2 className="text-xl">
              Level {level} of {levels.at(-1)?.level}: {levelName}
            </h2>
            <p className="mb-4 text-sm text-muted">
              <a href={source} className="text-leaf underline underline-offset-2" rel="noreferrer">
                {name}
              </a>
            </p>
            {levels
              .filter(({ criteria }) => criteria.length > 0)
              .map(({ level: of, name: called, criteria }) => (
                <div key={of} className="mb-3">
                  <h3 className="text-sm font-medium">
                    Level {of}, {called}
                  </h3>
                  <ul className="mt-1 space-y-1 text-sm">
                    {criteria.map(({ says, isMet, count, atLeast, proofs }) => (
                      <li key={says} className="flex gap-3">
                        <span className={isMet ? "text-leaf" : "text-bad"}>
                          <span aria-hidden="true">{isMet ? "✓" : "✗"}</span>
                          <span className="sr-only">{isMet ? "proven" : "not proven"}</span>
                        </span>
                        <span>
                          {says}
                          <span className="block text-[13px] text-muted">
                            {proofs[0] === undefined ? (
                              "nothing in the record"
                            ) : (
                              <>
                                {proofs[0].what}, <Instant at={proofs[0].at} />
                                {!isMet && ` (${count} of ${atLeast} needed)`}
                              </>
                            )}
                          </span>
                        </span>
                      </li>
                    ))}
                  </ul>
                </div>
              ))}
            {missing.length > 0 && (
              <div className="mt-4 rounded-lg bg-sunken px-4 py-3 text-sm">
                <p className="font-medium">Next</p>
                <ul className="mt-1 list-disc space-y-1 pl-5">
                  {missing.map(({ next }) => (
                    <li key={next}>{next}</li>
                  ))}
                </ul>
              </div>
            )}
          </section>
        ))}
      </div>
    </Page>
  );
}
