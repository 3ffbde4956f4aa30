import type { Client, Transfer } from "@espalier/contract";
import { EspalierError, isEspalierError } from "@espalier/core";
import { createLogUpdate } from "log-update";
import colors from "picocolors";
import { formatBytes, formatSeconds, printJson, printLine, printTable } from "./terminal/output.ts";

type Credentials = { token: string } | { username: string; password: string };

/** As MLflow's own client reads them; never an option, which everybody on the machine could read. */
export function mlflowCredentials(environment: NodeJS.ProcessEnv = process.env): Credentials | undefined {
  const username = environment["MLFLOW_TRACKING_USERNAME"];
  const password = environment["MLFLOW_TRACKING_PASSWORD"];
  if (username !== undefined && username !== "" && password !== undefined) return { username, password };
  const token = environment["MLFLOW_TRACKING_TOKEN"];
  return token === undefined || token === "" ? undefined : { token };
}

/** Shows a transfer until it ends; exit code 1 when the counts at its end differ. */
export async function followTransfer(client: Client, started: Transfer, asJson: boolean): Promise<void> {
  const screen = asJson || !process.stdout.isTTY ? undefined : createLogUpdate(process.stdout);
  let shownAt = 0;
  try {
    for await (const { data } of client.events("transfers.events", { params: { transferId: started.id } })) {
      if (data.state !== "running") break;
      if (screen !== undefined) screen(progressLine(data));
      else if (!asJson && Date.now() - shownAt > 10_000) {
        printLine(progressLine(data));
        shownAt = Date.now();
      }
    }
  } finally {
    screen?.done();
  }
  const ended = await client.call("transfers.get", { params: { transferId: started.id } });
  if (asJson) printJson(ended);
  if (ended.state === "failed" || ended.state === "interrupted") throw failureOf(ended);
  if (!asJson) printResult(ended);
  if (ended.state === "unequal") process.exitCode = 1;
}

function progressLine({ progress }: Transfer): string {
  if (progress === undefined) return "starting";
  const { phase, runs, skipped, points, files, bytes, versions } = progress;
  const before = skipped === 0 ? "" : ` (${skipped.toLocaleString("en")} before)`;
  return `${phase}: ${runs.toLocaleString("en")} runs${before}, ${points.toLocaleString("en")} points, ${files.toLocaleString("en")} files (${formatBytes(bytes)}), ${versions.toLocaleString("en")} versions`;
}

function failureOf({ error, direction }: Transfer): EspalierError {
  const hint = error?.hint ?? `The same command goes on where this ${direction} stopped.`;
  const known = isEspalierError(Object.assign(new Error(), error))
    ? (error?.code as EspalierError["code"])
    : "UNAVAILABLE";
  return new EspalierError(known, error?.message ?? `The ${direction} was interrupted`, {
    hint,
    ...(error?.at === undefined ? {} : { at: error.at }),
  });
}

function printResult({
  direction,
  description,
  counts = [],
  losses = [],
  startedAt,
  finishedAt,
  state,
}: Transfer): void {
  printLine(description ?? "");
  printTable(
    ["", direction === "import" ? "source" : "here", direction === "import" ? "imported" : "exported", "equal"],
    counts.map(({ what, source, here, equal }) => [
      what,
      source.toLocaleString("en"),
      here.toLocaleString("en"),
      equal ? colors.green("yes") : colors.red("no"),
    ]),
  );
  for (const loss of losses) printLine(colors.dim(`  not carried: ${loss}`));
  const took = formatSeconds((finishedAt ?? startedAt) - startedAt);
  printLine(state === "done" ? `${colors.green("done")} in ${took}` : `${colors.red("not equal")}, after ${took}`);
}
