import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { withoutMlflowVariables } from "../../scripts/servers/mlflow-environment.ts";

export interface ClientTask {
  python: string;
  url: string;
  mode: "batch" | "single" | "search" | "load-model" | "artifact";
  options: Record<string, unknown>;
  /** After this it is ended, and `undefined` is its result. */
  capSeconds: number;
}

/** Runs programs with MLflow's client side by side; they start to work at the same moment, when all have imported MLflow. */
export async function runClients<Result>(tasks: readonly ClientTask[]): Promise<(Result | undefined)[]> {
  const clients = tasks.map((task) => ({ task, child: start(task) }));
  try {
    const lines = clients.map(({ child }) => createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    for (const line of lines) {
      const { value } = await line.next();
      if (value !== "ready") throw new Error("A client of the benchmark did not start");
    }
    for (const { child } of clients) child.stdin.write("go\n");
    return await Promise.all(
      clients.map(async ({ task, child }, index) => {
        const timer = setTimeout(() => child.kill("SIGKILL"), task.capSeconds * 1000);
        const answer = await lines[index]?.next();
        clearTimeout(timer);
        return answer?.value === undefined ? undefined : (JSON.parse(answer.value) as Result);
      }),
    );
  } finally {
    for (const { child } of clients) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await Promise.all(
      clients.map(({ child }) =>
        child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined,
      ),
    );
  }
}

function start({ python, url, mode, options }: ClientTask): ChildProcessByStdio<Writable, Readable, null> {
  return spawn(python, [join(import.meta.dirname, "client.py"), mode, JSON.stringify(options)], {
    env: {
      ...withoutMlflowVariables(),
      MLFLOW_TRACKING_URI: url,
      MLFLOW_DISABLE_TELEMETRY: "true",
      GIT_PYTHON_REFRESH: "quiet",
      MLFLOW_LOGGING_LEVEL: "ERROR",
      MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT: "true",
      PYTHONWARNINGS: "ignore",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
}
