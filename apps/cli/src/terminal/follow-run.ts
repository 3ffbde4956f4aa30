import type { Client, RunDetail, RunEvent } from "@espalier/contract";
import { EspalierError, type StepState, stepStates, terminalRunStates } from "@espalier/core";
import { createLogUpdate } from "log-update";
import colors from "picocolors";
import { formatSeconds, printLine } from "./output.ts";

interface StepView {
  state: StepState;
  startedAt?: number;
  finishedAt?: number;
  progress?: { done: number; total?: number; unit?: string };
  branches: { total: number; done: number };
  note?: string;
}

const symbols: Record<StepState, string> = {
  pending: colors.dim("·"),
  waiting: colors.yellow("◦"),
  running: colors.cyan("▸"),
  succeeded: colors.green("✓"),
  cached: colors.green("≡"),
  unchanged: colors.green("="),
  skipped: colors.dim("↷"),
  failed: colors.red("✗"),
  pruned: colors.dim("✂"),
  cancelled: colors.yellow("■"),
};

/**
 * Follows a run to its end: a live table of steps on a terminal, one plain line a change when piped, nothing when quiet.
 * The first Ctrl-C cancels the run and waits for its end; the second leaves at once, and whoever owns the project next cancels it.
 */
export async function followRun(client: Client, runId: string, quiet = false): Promise<RunDetail> {
  const first = await client.call("runs.get", { params: { runId } });
  const views = new Map<string, StepView>();
  for (const step of Object.keys(first.graph)) views.set(step, { state: "pending", branches: { total: 0, done: 0 } });
  const drawable = process.stdout.isTTY && process.stdout.columns > 0;
  const screen = quiet || !drawable ? undefined : createLogUpdate(process.stdout);
  const interrupt = cancelOnInterrupt(client, runId);
  const timer = screen === undefined ? undefined : setInterval(() => screen(draw(views)), 100);
  try {
    for await (const { data } of client.events("runs.events", { params: { runId }, query: { after: 0 } })) {
      const changed = take(views, data);
      if (changed !== undefined && screen === undefined && !quiet) printLine(plainLine(changed, views));
      if (terminalRunStates.some((state) => data.type === `run.${state}`)) break;
    }
  } finally {
    clearInterval(timer);
    interrupt.stop();
    if (screen !== undefined) {
      screen(draw(views));
      screen.done();
    }
  }
  return client.call("runs.get", { params: { runId } });
}

/** Throws what made a run fail, so that the command ends with the table's exit code. */
export function throwIfFailed(detail: RunDetail): void {
  const { run, steps } = detail;
  if (run.state === "succeeded") return;
  if (run.state === "cancelled") {
    throw new EspalierError("CANCELLED", `Run ${run.id} was cancelled`, {
      hint: `\`espalier resume ${run.id}\` goes on with it.`,
    });
  }
  const failed = steps.find((step) => step.state === "failed" && step.error !== undefined);
  const error = failed?.error ?? run.error;
  const step = failed?.step;
  const commands =
    step === undefined
      ? `\`espalier runs show ${run.id}\``
      : `\`espalier logs ${run.id} ${step}\` shows the whole log, \`espalier resume ${run.id}\` goes on after a repair`;
  throw new EspalierError(codeOf(error?.code), error?.message ?? "The run failed", {
    ...placeOf(step, error?.at),
    hint: [usefulHint(error?.hint), `${commands}.`].join(" ").trim(),
    details: { runId: run.id, ...(step === undefined ? {} : { step }), ...error?.details },
  });
}

/** A place inside a file, such as `rules[0]` of a validation, says little without the step that reads the file. */
function placeOf(step: string | undefined, at: string | undefined): { at?: string } {
  if (step === undefined) return at === undefined ? {} : { at };
  if (at === undefined) return { at: `steps.${step}` };
  return { at: at.startsWith("steps.") || at.includes("/") ? at : `steps.${step}, ${at}` };
}

/** The engine's own hint may be the same two commands. */
const usefulHint = (hint = ""): string => (hint.includes("`espalier logs") ? "" : hint);

function codeOf(code: string | undefined): ConstructorParameters<typeof EspalierError>[0] {
  return (code ?? "STEP_FAILED") as ConstructorParameters<typeof EspalierError>[0];
}

function take(views: Map<string, StepView>, event: RunEvent): string | undefined {
  if (event.step === undefined) return undefined;
  const view = views.get(event.step);
  if (view === undefined) return undefined;
  const state = event.type.startsWith("step.") ? event.type.slice("step.".length) : "";
  if (event.branch !== undefined && event.branch >= 0) {
    if (isStepState(state)) {
      if (state === "pending") view.branches.total += 1;
      else if (!["running", "waiting"].includes(state)) view.branches.done += 1;
    }
    return undefined;
  }
  if (isStepState(state)) {
    if (view.state === state) return undefined;
    apply(views, event.step, state, event.at);
    const reason = event.data?.reason;
    if (typeof reason === "string") view.note = reason;
    return event.step;
  }
  if (event.type === "step.progress") {
    const { done, total, unit } = event.data ?? {};
    if (typeof done === "number") {
      view.progress = {
        done,
        ...(typeof total === "number" ? { total } : {}),
        ...(typeof unit === "string" ? { unit } : {}),
      };
    }
  }
  return undefined;
}

function isStepState(text: string): text is StepState {
  return (stepStates as readonly string[]).includes(text);
}

function apply(views: Map<string, StepView>, step: string, state: StepState, at: number): void {
  const view = views.get(step);
  if (view === undefined) return;
  view.state = state;
  if (state === "running") view.startedAt ??= at;
  else if (state !== "pending" && state !== "waiting") view.finishedAt = at;
}

function describe(step: string, view: StepView, width: number, now: number): string {
  const seconds =
    view.startedAt === undefined || view.state === "cached"
      ? ""
      : formatSeconds((view.finishedAt ?? now) - view.startedAt);
  const parts = [`${symbols[view.state]} ${step.padEnd(width)}`, view.state.padEnd(9), seconds.padStart(9)];
  if (view.branches.total > 0) parts.push(`${view.branches.done}/${view.branches.total} branches`);
  if (view.state === "running" && view.progress !== undefined) parts.push(bar(view.progress));
  if (view.note !== undefined) parts.push(colors.dim(view.note));
  return parts.join("  ").trimEnd();
}

function bar({ done, total, unit = "" }: NonNullable<StepView["progress"]>): string {
  if (total === undefined || total <= 0) return `${done} ${unit}`.trim();
  const share = Math.min(1, done / total);
  const filled = Math.round(share * 20);
  return `${"█".repeat(filled)}${"░".repeat(20 - filled)} ${Math.floor(share * 100)} % ${unit}`.trimEnd();
}

function draw(views: Map<string, StepView>): string {
  const width = Math.max(...[...views.keys()].map((step) => step.length));
  const now = Date.now();
  return [...views].map(([step, view]) => describe(step, view, width, now)).join("\n");
}

function plainLine(step: string, views: Map<string, StepView>): string {
  const width = Math.max(...[...views.keys()].map((name) => name.length));
  const view = views.get(step);
  return view === undefined ? step : describe(step, view, width, Date.now());
}

function cancelOnInterrupt(client: Client, runId: string): { stop(): void } {
  let asked = false;
  const onSignal = (): void => {
    if (asked) process.exit(130);
    asked = true;
    process.stderr.write(
      "\nCancelling the run; Ctrl-C again leaves at once, and the run is cancelled by the next command.\n",
    );
    client.call("runs.cancel", { params: { runId } }).catch((error: unknown) => {
      process.stderr.write(`The run could not be cancelled: ${String(error)}\n`);
    });
  };
  process.on("SIGINT", onSignal);
  return { stop: () => void process.off("SIGINT", onSignal) };
}
