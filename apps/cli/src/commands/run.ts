import { spawn } from "node:child_process";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { ulid } from "@espalier/core";
import { entryPoint, findProject } from "@espalier/host";
import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, collectList, collectParameter, projectCommand } from "../project-command.ts";
import { runningOwner, withSession } from "../session.ts";
import { followRun, throwIfFailed } from "../terminal/follow-run.ts";
import { formatSeconds, printJson, printLine } from "../terminal/output.ts";
import { waitUntil } from "../wait-until.ts";

interface RunCommandOptions extends CommonOptions {
  param?: Record<string, string | number | boolean>;
  stack?: string;
  only?: string[];
  from?: string[];
  force?: boolean;
  detach?: boolean;
  date?: string;
}

export function command(): Command {
  return projectCommand("run", "Run a pipeline; steps whose cache key is known are taken from earlier runs.")
    .argument("[pipeline]", "name or file of the pipeline (default: the project's only one)")
    .option("-p, --param <key=value>", "a parameter, repeatable", collectParameter)
    .option("--stack <name>", "the stack to run on")
    .option("--only <steps>", "only these steps, separated by commas; what they need must be cached", collectList)
    .option("--from <steps>", "these steps and all that depends on them", collectList)
    .option("--force", "run every step, cached or not")
    .option("--date <date>", "the logical date that run.date means")
    .option("--detach", "start the run, print its id and return; a background control plane drives it")
    .action(run);
}

async function run(pipeline: string | undefined, options: RunCommandOptions): Promise<void> {
  if (options.detach) await startInBackground(options.project);
  await withSession(options, async ({ client }) => {
    const created = await client.call("runs.create", {
      body: {
        id: ulid(),
        pipeline: pipeline ?? (await onlyPipeline(client)),
        ...(options.param === undefined ? {} : { params: options.param }),
        ...(options.stack === undefined ? {} : { stack: options.stack }),
        ...(options.date === undefined ? {} : { logicalDate: options.date }),
        options: {
          ...(options.only === undefined ? {} : { only: options.only }),
          ...(options.from === undefined ? {} : { from: options.from }),
          ...(options.force === undefined ? {} : { force: options.force }),
        },
      },
    });
    if (options.detach) {
      if (options.json) printJson(created);
      else printLine(`${created.id}\n${colors.dim(`espalier runs show ${created.id}`)}`);
      return;
    }
    if (!options.json) printLine(`${colors.bold(created.pipeline)}  run ${created.id}  stack ${created.stack}`);
    const detail = await followRun(client, created.id, options.json);
    throwIfFailed(detail);
    if (options.json) printJson(detail);
    else {
      const { run: ended, counts } = detail;
      const seconds = formatSeconds((ended.finishedAt ?? 0) - ended.createdAt);
      const summary = Object.entries(counts).map(([state, count]) => `${count} ${state}`);
      printLine(`${colors.green("succeeded")} in ${seconds}: ${summary.join(", ")}`);
    }
  });
}

type RunClient = Parameters<Parameters<typeof withSession>[1]>[0]["client"];

/** The name of the project's only pipeline; several ask for a choice. */
export async function onlyPipeline(client: RunClient): Promise<string> {
  const { items } = await client.call("project.pipelines");
  const [first, second] = items;
  const { EspalierError } = await import("@espalier/core");
  if (first === undefined) {
    throw new EspalierError("NOT_FOUND", "This project has no pipeline", {
      at: "pipelines/",
      hint: "`espalier init --here` writes one.",
    });
  }
  if (second !== undefined) {
    throw new EspalierError("INVALID_INPUT", "This project has several pipelines", {
      hint: `Name one: ${items.map((item) => item.name).join(", ")}.`,
    });
  }
  return first.name;
}

/** A control plane of its own process, which ends when no run is left. */
async function startInBackground(project: string | undefined): Promise<void> {
  const directory = await findProject(project ?? process.cwd());
  if ((await runningOwner(directory)) !== undefined) return;
  await mkdir(join(directory, ".espalier"), { recursive: true });
  const log = await open(join(directory, ".espalier", "control-plane.log"), "a");
  const child = spawn(
    process.execPath,
    [entryPoint("cli"), "up", "--port", "0", "--until-idle", "--project", directory],
    {
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    },
  );
  child.unref();
  await waitUntil(async () => (await runningOwner(directory)) !== undefined || child.exitCode !== null, 15_000);
  await log.close();
}
