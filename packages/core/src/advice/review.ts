/** What a team forecast when it was advised, and what the record tells since. */
export interface Forecasted {
  data_gigabytes: number;
  training_hours: number;
  runs_a_month: number;
  models: number;
  requests_a_second: number;
}

/** Of the record; a figure that it does not hold is absent, and told as such. */
export interface Ledger {
  /** Since the advice. */
  days: number;
  runs: number;
  failedRuns: number;
  /** Of the longest run that succeeded, hours. */
  longestRunHours?: number;
  /** Newest version of each dataset. */
  dataGigabytes?: number;
  models?: number;
  /** Over all endpoints, since each was started. */
  requestsASecond?: number;
  /** The stack that runs use most. */
  stack?: string;
  /** By component, what that stack uses. */
  tools: Readonly<Record<string, string>>;
}

export interface ReviewLine {
  what: string;
  forecast: string;
  recorded: string;
  /** `differs`: more than twice or less than half, so that the advice rests on something else now. */
  verdict: "as forecast" | "differs" | "not recorded" | "too early";
}

const enoughDays = 14;

/** Pure. A forecast that is off by more than two times is worth asking again about. */
export function reviewAdvice(
  forecast: { work: Partial<Forecasted>; choices: readonly { component: string; tool: string }[] },
  ledger: Ledger,
): ReviewLine[] {
  const { work } = forecast;
  const perMonth = ledger.days < enoughDays ? undefined : (ledger.runs * 30.44) / ledger.days;
  const lines: ReviewLine[] = [
    figure("runs a month", work.runs_a_month, perMonth, ledger.days < enoughDays ? "too early" : "not recorded"),
    figure("hours of the longest run", work.training_hours, ledger.longestRunHours),
    figure("GB of data", work.data_gigabytes, ledger.dataGigabytes),
    figure("models", work.models, ledger.models),
    figure("requests a second", work.requests_a_second, ledger.requestsASecond),
  ];
  for (const { component, tool } of forecast.choices) {
    const used = ledger.tools[component];
    // What is kept or scripted stands beside the stack; the record knows nothing of it.
    if (used === undefined) continue;
    const isDefault = tool === "none yet";
    lines.push({
      what: component,
      forecast: tool,
      recorded: used,
      verdict: used === tool || isDefault ? "as forecast" : "differs",
    });
  }
  return lines;
}

function figure(
  what: string,
  forecast: number | undefined,
  recorded: number | undefined,
  absent: "not recorded" | "too early" = "not recorded",
): ReviewLine {
  const told = (value: number | undefined): string => (value === undefined ? "" : String(Number(value.toPrecision(3))));
  const line = { what, forecast: told(forecast), recorded: told(recorded) };
  if (recorded === undefined || forecast === undefined) return { ...line, verdict: absent };
  const isNear = forecast === recorded || (recorded <= forecast * 2 && recorded * 2 >= forecast);
  // Below one of anything nobody would have chosen another tool.
  const isSmall = Math.max(forecast, recorded) < 1;
  return { ...line, verdict: isNear || isSmall ? "as forecast" : "differs" };
}
