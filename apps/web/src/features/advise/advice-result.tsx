import type { AdviceDocument, MilestoneAdvice } from "@espalier/contract";

type Ranked = MilestoneAdvice["choice"];
type Range = MilestoneAdvice["setUpHours"];

/** As the CLI writes it: `3 to 8`. */
function rangeWords([low, high]: Range): string {
  const round = (value: number) => (value >= 10 ? Math.round(value) : Math.round(value * 10) / 10);
  return round(low) === round(high) ? String(round(low)) : `${round(low)} to ${round(high)}`;
}

export function AdviceResult({ whole }: { whole: AdviceDocument }) {
  return (
    <div className="space-y-5">
      <section aria-label="The answer" className="rounded-xl border border-leaf/50 bg-leaf-soft px-5 py-4">
        <p className="font-serif text-xl">{whole.sentence}</p>
        <p className="mt-2 text-sm">
          To learn: {rangeWords(whole.learningHours)} hours. To run it: {rangeWords(whole.hoursAMonth)} hours and{" "}
          {rangeWords(whole.dollarsAMonth)} $ a month.
        </p>
        {whole.warnings.map((warning) => (
          <p key={warning} className="mt-2 text-sm">
            Mind: {warning}
          </p>
        ))}
      </section>
      <div className="divide-y divide-line rounded-xl border border-line bg-card">
        {whole.advice.map((advice) => (
          <Milestone key={advice.place.component} advice={advice} />
        ))}
      </div>
      <Text
        title="The stack"
        hint="For espalier.yaml. In a terminal, espalier advise --write writes it."
        text={whole.stack.includes("{}") ? "# nothing to write: what comes with Espalier is the stack\n" : whole.stack}
      />
      <Text
        title="Your answers"
        hint="Kept as advice.yaml, they are what espalier advise and this page begin with."
        text={whole.answers}
      />
    </div>
  );
}

function Milestone({ advice }: { advice: MilestoneAdvice }) {
  const { place, choice, runnerUp, isCloseCall, verdict, withoutSkills, gaps } = advice;
  const otherwise = withoutSkills.ranked[0]?.candidate.name;
  return (
    <details className="px-5 py-3">
      <summary className="flex cursor-pointer flex-wrap items-baseline gap-x-4 gap-y-1 text-sm">
        <span className="w-44 text-muted">
          {place.milestone} {place.title}
        </span>
        <span className="font-medium">{choice.candidate.name}</span>
        <span className="text-muted">{verdict}</span>
        <span className="text-muted tabular-nums">{choice.score.toFixed(1)}</span>
        {runnerUp !== undefined && (
          <span className="text-muted">
            before {runnerUp.candidate.name} <span className="tabular-nums">{runnerUp.score.toFixed(1)}</span>
          </span>
        )}
        {isCloseCall && <span className="rounded-full bg-sunken px-2">close call</span>}
        {gaps.length > 0 && <span className="rounded-full bg-bad-soft px-2">gap</span>}
        {otherwise !== undefined && otherwise !== choice.candidate.name && (
          <span className="text-muted">without the weight on skills: {otherwise}</span>
        )}
      </summary>
      <Why advice={advice} />
    </details>
  );
}

function Why({ advice }: { advice: MilestoneAdvice }) {
  const { choice, runnerUp, ranking, learning, gaps, flip } = advice;
  const { ownership, kind, provider } = choice.candidate;
  return (
    <div className="space-y-3 pt-3 text-sm">
      <div className="grid gap-5 lg:grid-cols-2">
        <Reasons ranked={choice} />
        {runnerUp !== undefined && <Reasons ranked={runnerUp} />}
      </div>
      {ranking.excluded.map(({ candidate, exclusions }) => (
        <p key={candidate.name}>
          <span className="font-medium text-bad">Out: {candidate.name}.</span>{" "}
          {exclusions.map(({ because, at }) => `${because} (${at})`).join("; ")}
        </p>
      ))}
      {learning.map(({ skill, hours, source }) => (
        <p key={skill}>
          To learn {skill}: {rangeWords(hours)} hours <span className="text-muted">({source})</span>
        </p>
      ))}
      {gaps.map(({ skill, people }) => (
        <p key={skill}>
          Gap: {people.length === 0 ? "nobody" : `only ${people[0]}`} could repair {skill} alone at night.
        </p>
      ))}
      {ownership !== undefined && kind === "tool" && provider !== "embedded" && (
        <p>
          Owning it: {rangeWords(advice.setUpHours)} hours to set up, then {rangeWords(advice.hoursAMonth)} hours and{" "}
          {rangeWords(advice.dollarsAMonth)} $ a month{" "}
          <span className="text-muted">
            ({ownership.source}, {ownership.asOf})
          </span>
          . The way out: {ownership.wayOut}.
        </p>
      )}
      <p>
        {flip === undefined ? "No single answer that was tried would change this." : `${flip.sentence} (${flip.at})`}
      </p>
    </div>
  );
}

/** A bar a criterion, as wide as its weight, filled by what it earned: the bars together are the score. */
function Reasons({ ranked }: { ranked: Ranked }) {
  return (
    <div>
      <h4 className="font-medium">
        {ranked.candidate.name} <span className="tabular-nums">{ranked.score.toFixed(1)}</span>
      </h4>
      <ul className="mt-1 space-y-1.5">
        {ranked.reasons.map(({ criterion, points, weight, value, because, at }) => (
          <li key={criterion} className="grid grid-cols-[6rem_5rem_minmax(0,1fr)] gap-3">
            <span className="text-muted">{criterion}</span>
            <span className="tabular-nums">
              <span aria-hidden="true" className="block h-1.5 rounded-full bg-sunken">
                <Bar share={value} />
              </span>
              {points.toFixed(1)} of {weight.toFixed(0)}
            </span>
            <span>
              {because}
              {at.length > 0 && <span className="text-muted"> ({at.join(", ")})</span>}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** An SVG, since the content security policy allows no style attributes. */
function Bar({ share }: { share: number }) {
  return (
    <svg viewBox="0 0 100 4" preserveAspectRatio="none" className="block h-1.5 w-full" aria-hidden="true">
      <rect width={100 * share} height="4" rx="2" className="fill-leaf" />
    </svg>
  );
}

function Text({ title, hint, text }: { title: string; hint: string; text: string }) {
  return (
    <section className="rounded-xl border border-line bg-card px-5 py-4">
      <h2 className="text-lg">{title}</h2>
      <p className="text-sm text-muted">{hint}</p>
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
        tabIndex={0}
        className="mt-2 max-h-80 overflow-auto rounded-lg bg-sunken px-4 py-3 font-mono text-[13px] select-all"
      >
        {text}
      </pre>
    </section>
  );
}
