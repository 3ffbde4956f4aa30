import { type ErrorCode, EspalierError, errorTable } from "../errors.ts";
import type { FailureCause } from "../ir/pipeline.ts";
import type { WorkOrder } from "../ports/staging.ts";
import type { StepRunner } from "../ports/step-runner.ts";
import type { AttemptOutcome } from "./attempt.ts";
import type { RunContext } from "./run-context.ts";
import type { Ended } from "./watch-attempt.ts";

/** Lines of a failed step's log that its error keeps. */
export const tailLines = 40;

/** What is said about an attempt that did not exit with 0. */
export async function toldOutcome(
  context: RunContext,
  runner: StepRunner,
  handle: string,
  order: WorkOrder,
  { status, timedOut }: Ended,
): Promise<AttemptOutcome> {
  if (context.stopSignal(order).aborted) return { kind: "stopped" };
  const { log, tail } = await context.options.staging.closeLog(order, tailLines);
  // A step elsewhere may end before a word of its own arrives; then the tool's log says why.
  const toolLog = tail === "" && !runner.sharesFiles ? await endOfToolLog(runner, handle) : "";
  const name = order.branch < 0 ? order.step : `${order.step}[${order.branch}]`;
  const told = (cause: FailureCause, message: string, exitCode?: number): AttemptOutcome => {
    const own = exitCode === undefined || "run" in order.program ? undefined : builtinError(tail);
    return {
      kind: "failed",
      cause,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(log ? { log } : {}),
      error: new EspalierError(own?.code ?? "STEP_FAILED", own?.message ?? message, {
        at: own?.at ?? `steps.${order.step}`,
        details: {
          cause,
          ...(exitCode === undefined ? {} : { exitCode }),
          logTail: tail,
          ...(toolLog === "" ? {} : { toolLog }),
        },
        hint: own?.hint ?? exitHint(exitCode, tail) ?? usualHint(order),
      }),
    };
  };
  if (timedOut) return told("timeout", `Step ${name} ran longer than its timeout of ${order.timeoutSeconds} s`);
  if (status.state === "lost" && status.cause === "timeout") return told("timeout", `Step ${name}: ${status.message}`);
  if (status.state === "lost") return told("lost", `Step ${name} was lost: ${status.message}`);
  // Nobody here asked for it: the tool, or somebody on its console, stopped the attempt.
  if (status.state === "cancelled") return told("lost", `Step ${name} was stopped from outside`);
  const why = status.reason === undefined ? "" : ` (${status.reason})`;
  return told("exit", `Step ${name} ended with exit code ${status.exitCode}${why}`, status.exitCode);
}

const usualHint = (order: WorkOrder): string =>
  `\`espalier logs ${order.runId}/${order.step}\` shows the whole log; \`espalier resume ${order.runId}\` goes on.`;

function exitHint(exitCode: number | undefined, tail: string): string | undefined {
  if (/can't open file|No such file or directory|Cannot find module/.test(tail)) {
    return "A step sees its `source:` folder and its inputs, nothing else of the project: add what is missing to either.";
  }
  if (/ModuleNotFoundError/.test(tail))
    return "Add the package to the requirements that the step's `environment:` names.";
  if (exitCode === 127) {
    return "Exit code 127 means that the shell did not find the command: check its name, and that it is installed or in `environment:`.";
  }
  if (exitCode === 126) return "Exit code 126 means that the command is there but can not be executed: `chmod +x` it.";
  if (exitCode === 137)
    return "Exit code 137 is SIGKILL; without a cancellation it is usually the system, out of memory.";
  return undefined;
}

/** A built-in step ends its log with `error: CODE message` and, below, where and what to do next. */
function builtinError(tail: string): { code: ErrorCode; message: string; at?: string; hint?: string } | undefined {
  const start = tail.lastIndexOf("error: ");
  const [, code, message] = /^error: ([A-Z_]+) (.*)$/m.exec(tail.slice(Math.max(0, start))) ?? [];
  if (start < 0 || code === undefined || message === undefined || !(code in errorTable)) return undefined;
  const at = /^ {3}at: (.*)$/m.exec(tail.slice(start))?.[1];
  const hint = /^ hint: (.*)$/m.exec(tail.slice(start))?.[1];
  return {
    code: code as ErrorCode,
    message,
    ...(at === undefined ? {} : { at }),
    ...(hint === undefined ? {} : { hint }),
  };
}

async function endOfToolLog(runner: StepRunner, handle: string): Promise<string> {
  let text = "";
  try {
    for (let offset = 0; ; ) {
      const { bytes, next } = await runner.logs(handle, offset);
      if (next <= offset) break;
      text = (text + Buffer.from(bytes).toString("utf8")).slice(-16_384);
      offset = next;
    }
  } catch (error) {
    // The failure itself is what matters; that its log is out of reach is said beside it.
    return `(the tool's log can not be read: ${String(error)})`;
  }
  return text.trimEnd().split("\n").slice(-tailLines).join("\n");
}
