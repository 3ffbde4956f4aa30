/** States of runs, steps, attempts, rollouts and approvals, by how they should feel; what is not listed is calm. */
const tones: Record<string, Tone> = {
  succeeded: "good",
  cached: "good",
  unchanged: "good",
  approved: "good",
  ok: "good",
  running: "live",
  submitted: "live",
  collecting: "live",
  waiting: "warn",
  warn: "warn",
  failed: "bad",
  fail: "bad",
  lost: "bad",
  rejected: "bad",
};
export type Tone = "good" | "live" | "warn" | "bad" | "calm";

const classes: Record<Tone, string> = {
  good: "text-good bg-good-soft",
  live: "text-live bg-live-soft",
  warn: "text-warn bg-warn-soft",
  bad: "text-bad bg-bad-soft",
  calm: "text-muted bg-sunken",
};

/** Shapes differ with the tone, so that colour is never the only sign (WCAG 1.4.1). */
const shapes: Record<Tone, string> = {
  good: "M2.500 6.500 5 9l4.500-6",
  live: "M6 2.500a3.500 3.500 0 1 1-3.500 3.500",
  warn: "M6 2v5M6 9.500v.01",
  bad: "M3 3l6 6M9 3l-6 6",
  calm: "M3 6h6",
};

const toneOf = (state: string): Tone => tones[state] ?? "calm";

export function StateMark({ state, label }: { state: string; label?: string }) {
  const tone = toneOf(state);
  return (
    <span
      data-state={state}
      className={`inline-flex items-center gap-1.5 rounded-full px-2 py-0.5 text-[12.5px] font-medium whitespace-nowrap ${classes[tone]}`}
    >
      <svg
        aria-hidden="true"
        viewBox="0 0 12 12"
        className={`size-3 fill-none stroke-current ${tone === "live" ? "animate-spin" : ""}`}
        strokeWidth="1.8"
        strokeLinecap="round"
      >
        <path d={shapes[tone]} />
      </svg>
      {label ?? state}
    </span>
  );
}
