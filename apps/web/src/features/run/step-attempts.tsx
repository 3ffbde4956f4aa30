import type { Attempt } from "@espalier/contract";
import { Link } from "@tanstack/react-router";
import { Section } from "../../ui/facts.tsx";
import { Instant } from "../../ui/instant.tsx";
import { StateMark } from "../../ui/state-mark.tsx";
import { duration } from "../../ui/words.ts";

/** Each try of the step: its tool, how it ended, how long it took. A link shows that try's log. */
export function StepAttempts({
  attempts,
  shown,
  now,
}: {
  attempts: readonly Attempt[];
  shown: number | undefined;
  now: number;
}) {
  return (
    <Section title={attempts.length === 1 ? "Attempt" : "Attempts"}>
      <ol className="divide-y divide-line text-sm">
        {attempts.map((attempt) => (
          <li key={attempt.id} className="flex flex-wrap items-center gap-x-4 gap-y-1 py-1.5 first:pt-0 last:pb-0">
            {attempts.length > 1 ? (
              <Link
                to="."
                search={{
                  step: attempt.step,
                  ...(attempt.branch < 0 ? {} : { branch: attempt.branch }),
                  attempt: attempt.number,
                }}
                resetScroll={false}
                aria-current={attempt.number === shown ? "true" : undefined}
                className="text-leaf underline underline-offset-2 aria-[current=true]:font-semibold"
              >
                attempt {attempt.number}
              </Link>
            ) : (
              <span>attempt {attempt.number}</span>
            )}
            <StateMark state={attempt.state} />
            <span className="text-muted">{attempt.tool}</span>
            <Instant at={attempt.createdAt} className="text-muted" />
            {attempt.startedAt !== undefined && (
              <span className="text-muted tabular-nums">
                {duration((attempt.finishedAt ?? now) - attempt.startedAt)}
              </span>
            )}
            {(attempt.cause !== undefined || attempt.exitCode !== undefined) && (
              <span className="text-muted">
                {[
                  attempt.cause,
                  attempt.exitCode === undefined || attempt.exitCode === 0 ? undefined : `code ${attempt.exitCode}`,
                ]
                  .filter((word) => word !== undefined)
                  .join(", ")}
              </span>
            )}
            {attempt.message !== undefined && <span className="basis-full wrap-anywhere">{attempt.message}</span>}
          </li>
        ))}
      </ol>
    </Section>
  );
}
