import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatBytes, formatInstant, formatSeconds, printJson, printLine, printTable } from "../terminal/output.ts";
import { printTrials, searchesOf } from "../terminal/trials.ts";

export function command(): Command {
  const runs = commandGroup("runs", "List, show and compare runs.");
  subcommand(runs, "list", "Runs, newest first")
    .option("--pipeline <name>", "of this pipeline only")
    .option("--state <state>", "queued, running, succeeded, failed or cancelled")
    .option("--limit <number>", "at most this many", "20")
    .action(list);
  subcommand(runs, "show <run>", "Steps, attempts and metrics of a run").action(show);
  subcommand(
    runs,
    "trials <run> [step]",
    "Trials of a step that searches: values, metric, state, the best marked",
  ).action(trials);
  subcommand(runs, "compare <runs...>", "Parameters, metrics and outputs side by side")
    .option("--all", "equal rows too")
    .action(compare);
  return runs;
}

type State = "queued" | "running" | "succeeded" | "failed" | "cancelled";

async function list(options: CommonOptions & { pipeline?: string; state?: string; limit: string }): Promise<void> {
  await withSession(options, async ({ client }) => {
    const page = await client.call("runs.list", {
      query: {
        limit: Number(options.limit),
        ...(options.pipeline === undefined ? {} : { pipeline: options.pipeline }),
        ...(options.state === undefined ? {} : { state: options.state as State }),
      },
    });
    if (options.json) return printJson(page);
    if (page.items.length === 0) return printLine("No runs yet. Start one: espalier run");
    printTable(
      ["run", "pipeline", "state", "stack", "trigger", "logical date", "started", "took"],
      page.items.map((run) => [
        run.id,
        run.pipeline,
        run.state,
        run.stack,
        run.trigger.kind,
        run.logicalDate,
        formatInstant(run.startedAt ?? run.createdAt),
        run.finishedAt === undefined ? "" : formatSeconds(run.finishedAt - run.createdAt),
      ]),
    );
  });
}

async function trials(runId: string, step: string | undefined, options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const tables = await searchesOf(client, runId, step);
    if (options.json) return printJson(tables.length === 1 ? tables[0] : tables);
    for (const table of tables) printTrials(table);
  });
}

async function show(runId: string, options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const detail = await client.call("runs.get", { params: { runId } });
    const metrics = await client.call("runs.metrics", { params: { runId: detail.run.id }, query: { limit: 1000 } });
    if (options.json) return printJson({ ...detail, metrics: metrics.items });
    const { ir } = await client.call("runs.pipeline", { params: { runId: detail.run.id } });
    const searching = Object.keys(ir.steps).filter((step) => ir.steps[step]?.tune !== undefined);
    const { run } = detail;
    printLine(
      `${colors.bold(run.pipeline)}  run ${run.id}  ${run.state}  stack ${run.stack}  by ${run.trigger.kind} (${run.trigger.by})`,
    );
    const params = Object.entries(run.params).map(([key, value]) => `${key}=${value}`);
    if (params.length > 0) printLine(colors.dim(params.join("  ")));
    printTable(
      ["step", "state", "took", "outputs", "because"],
      detail.steps
        .filter(({ step, branch }) => branch === -1 || !searching.includes(step))
        .map((step) => [
          step.branch === -1 ? step.step : `${step.step}[${step.branch}]`,
          step.state,
          step.startedAt === undefined || step.finishedAt === undefined
            ? ""
            : formatSeconds(step.finishedAt - step.startedAt),
          Object.entries(step.outputs ?? {})
            .map(([name, artifact]) => `${name} ${artifact.digest.slice(7, 19)} ${formatBytes(artifact.size)}`)
            .join(", "),
          step.error?.message ?? step.reason,
        ]),
    );
    for (const step of searching) {
      printTrials(await client.call("runs.trials", { params: { runId: detail.run.id, step } }));
    }
    const others = metrics.items.filter((metric) => !searching.includes(metric.stepName));
    if (others.length > 0) {
      printLine();
      const latest = new Map(others.map((metric) => [`${metric.stepName} ${metric.key}`, metric]));
      printTable(
        ["metric", "value", "step"],
        [...latest.values()].map((metric) => [metric.key, String(metric.value), metric.stepName]),
      );
    }
  });
}

async function compare(ids: string[], options: CommonOptions & { all?: boolean }): Promise<void> {
  await withSession(options, async ({ client }) => {
    const comparison = await client.call("runs.compare", { query: { ids: ids.join(",") } });
    if (options.json) return printJson(comparison);
    const keep = <Row extends { differs: boolean }>(rows: Row[]) =>
      options.all ? rows : rows.filter((row) => row.differs);
    const rows = [
      ...keep(comparison.params).map((row) => [`param ${row.name}`, ...row.values.map(String)]),
      ...keep(comparison.metrics).map((row) => [`metric ${row.step}.${row.key}`, ...row.values.map(String)]),
      ...keep(comparison.outputs).map((row) => [
        `output ${row.step}.${row.output}`,
        ...row.digests.map((digest) => digest?.slice(7, 19) ?? "null"),
      ]),
    ];
    if (rows.length === 0) return printLine("These runs do not differ.");
    printTable(["", ...comparison.runs.map((run) => run.id)], rows);
  });
}
