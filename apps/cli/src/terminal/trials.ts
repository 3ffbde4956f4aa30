import type { CallOutput, Client } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import colors from "picocolors";
import { formatSeconds, printLine, printTable } from "./output.ts";

type Trials = CallOutput<"runs.trials">;

/** Of one step, or of all that search. NOT_FOUND: there is none. */
export async function searchesOf(client: Client, runId: string, step: string | undefined): Promise<Trials[]> {
  if (step !== undefined) return [await client.call("runs.trials", { params: { runId, step } })];
  const { ir } = await client.call("runs.pipeline", { params: { runId } });
  const steps = Object.keys(ir.steps).filter((name) => ir.steps[name]?.tune !== undefined);
  if (steps.length === 0) {
    throw new EspalierError("NOT_FOUND", `No step of run ${runId} searches`, { hint: "A step searches with `tune:`." });
  }
  return Promise.all(steps.map((name) => client.call("runs.trials", { params: { runId, step: name } })));
}

export function printTrials({ step, method, objective, planned, best, trials }: Trials): void {
  const names = [...new Set(trials.flatMap((trial) => Object.keys(trial.values)))];
  const ended = trials.filter(({ finishedAt }) => finishedAt !== undefined).length;
  printLine();
  printLine(
    `${colors.bold(`trials of ${step}`)}  ${method}, ${objective.direction} ${objective.metric}, ${ended} of ${planned} ended`,
  );
  printTable(
    ["", "trial", ...names, objective.metric, "state", "took", "because"],
    trials.map((trial) => [
      trial.trial === best ? colors.green("★") : "",
      String(trial.trial),
      ...names.map((name) => shown(trial.values[name])),
      shown(trial.metric),
      trial.state,
      trial.startedAt === undefined || trial.finishedAt === undefined || trial.state === "cached"
        ? ""
        : formatSeconds(trial.finishedAt - trial.startedAt),
      trial.reason,
    ]),
  );
}

/** Six digits tell trials apart; `--json` has them all. */
function shown(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(6)));
  return typeof value === "string" ? value : JSON.stringify(value);
}
