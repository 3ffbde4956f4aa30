import { toEspalierError } from "../errors.ts";
import { evaluateWhen } from "../ir/cel.ts";
import type { StepRow } from "../record/engine-record.ts";
import { type StepState, terminalStepStates } from "../record/states.ts";
import { driveMap } from "./drive-map.ts";
import { driveTune } from "./drive-tune.ts";
import { driveUnit } from "./drive-unit.ts";
import type { RunContext } from "./run-context.ts";
import { expressionVariables } from "./unit.ts";

const good: readonly StepState[] = ["succeeded", "cached", "unchanged"];

/** Brings one step of the graph to a terminal state, once everything it depends on is in one. */
export async function driveStep(context: RunContext, name: string, dependencies: readonly string[]): Promise<StepRow> {
  const row = context.row(name);
  if (terminalStepStates.includes(row.state)) return row;
  if (row.state === "pending") {
    if (context.cancel.signal.aborted) return context.moveStep(row, ["pending"], "cancelled");
    const reason = whyNot(context, name, dependencies);
    if (reason !== undefined) return context.moveStep(row, ["pending"], "skipped", { reason });
    const { when } = context.step(name);
    if (when !== undefined) {
      try {
        if (!evaluateWhen(when, expressionVariables(context))) {
          return await context.moveStep(row, ["pending"], "skipped", { reason: `when: ${when} is false` });
        }
      } catch (error) {
        context.letGo.signal.throwIfAborted();
        const told = toEspalierError(error);
        return context.moveStep(row, ["pending"], "failed", { reason: told.message, error: told.toJSON() });
      }
    }
  }
  const { map, tune } = context.step(name);
  if (tune) return driveTune(context, row, tune);
  return map ? driveMap(context, row) : driveUnit(context, row);
}

function whyNot(context: RunContext, name: string, dependencies: readonly string[]): string | undefined {
  if (context.scope.get(name) === "out") return "not asked for";
  for (const dependency of dependencies) {
    const { state } = context.row(dependency);
    if (!good.includes(state)) return `${dependency} ${state === "failed" ? "failed" : `is ${state}`}`;
  }
  return undefined;
}
