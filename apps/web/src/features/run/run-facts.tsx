import type { Run } from "@espalier/contract";
import { Link } from "@tanstack/react-router";
import { Digest } from "../../ui/digest.tsx";
import { Facts } from "../../ui/facts.tsx";
import { Instant } from "../../ui/instant.tsx";
import { duration } from "../../ui/words.ts";

/** What the run was asked for: by whom, when, on what, with which parameters. */
export function RunFacts({ run, now }: { run: Run; now: number }) {
  const { only, from, until, force, resumes } = run.options;
  return (
    <div className="grid gap-x-10 gap-y-6 rounded-xl border border-line bg-card px-5 py-4 md:grid-cols-2">
      <Facts
        of={[
          ["Created", <Instant key="created" at={run.createdAt} />],
          ["Took", run.startedAt === undefined ? "–" : duration((run.finishedAt ?? now) - run.startedAt)],
          ["Stack", run.stack],
          ["Started by", `${run.trigger.kind} · ${run.trigger.by}`],
          ["For the date", run.logicalDate],
          ["Only", only?.join(", ")],
          ["From", from?.join(", ")],
          ["Until", until?.join(", ")],
          ["Cache", force === true ? "not looked at (forced)" : undefined],
          [
            "Resumes",
            resumes === undefined ? undefined : (
              <Link
                key="resumes"
                to="/runs/$runId"
                params={{ runId: resumes }}
                search={{}}
                className="text-leaf underline underline-offset-2"
              >
                {resumes.slice(-8)}
              </Link>
            ),
          ],
          ["Pipeline's digest", <Digest key="digest" digest={run.pipelineDigest} />],
          [
            "Id",
            <code key="id" className="font-mono text-[12.5px]">
              {run.id}
            </code>,
          ],
        ]}
      />
      <section aria-label="Parameters">
        {Object.keys(run.params).length === 0 ? (
          <p className="text-sm text-muted">The pipeline has no parameters.</p>
        ) : (
          <Facts
            of={Object.entries(run.params).map(
              ([name, value]) =>
                [
                  name,
                  <code key={name} className="font-mono text-[12.5px]">
                    {String(value)}
                  </code>,
                ] as const,
            )}
          />
        )}
      </section>
    </div>
  );
}
