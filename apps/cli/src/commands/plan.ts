import type { EndpointPlan, Plan } from "@espalier/contract";
import { isEspalierError } from "@espalier/core";
import type { Command } from "commander";
import colors from "picocolors";
import { movePlanLines, requirePair } from "../move-lines.ts";
import { projectCommand } from "../project-command.ts";
import { type RunRequestOptions, runRequest, withRunOptions } from "../run-request.ts";
import { type Session, withSession } from "../session.ts";
import { compareStacks, differenceLines } from "../stack-lines.ts";
import { endpointFaults, endpointLines } from "../terminal/endpoint-lines.ts";
import { tellProblems } from "../terminal/faults-error.ts";
import { formatBytes, formatSeconds, printJson, printLine, printTable } from "../terminal/output.ts";

interface PlanOptions extends RunRequestOptions {
  endpoints?: boolean;
}

export function command(): Command {
  const described =
    "What a run would do, what `apply` would do to endpoints, and every fault that would stop them; of two stacks (laptop..servers), what a move would change and carry. Nothing runs.";
  return withRunOptions(projectCommand("plan", described))
    .option("--endpoints", "only what espalier.yaml declares under `endpoints:`")
    .action(plan);
}

async function plan(pipeline: string | undefined, options: PlanOptions): Promise<void> {
  if (pipeline?.includes("..")) return planMove(requirePair(pipeline), options);
  await withSession({ ...options, looksOnly: true }, async ({ client }) => {
    // Of a pipeline that is named, only that is asked.
    const { endpoints } = pipeline === undefined ? await client.call("plan.endpoints", {}) : { endpoints: [] };
    const planned = options.endpoints ? undefined : await planOfRun(client, pipeline, options, endpoints.length > 0);
    if (options.json) printJson({ ...planned, endpoints });
    else {
      if (planned !== undefined) printPlan(planned);
      for (const line of endpoints.flatMap(endpointLines)) printLine(line);
      if (planned === undefined && endpoints.length === 0) printLine("espalier.yaml declares no endpoints.");
    }
    const problems = [...(planned?.problems ?? []), ...endpointFaults(endpoints)];
    tellProblems(problems, toldOf(planned, endpoints, problems.length), options.json);
  });
}

/** `plan laptop..servers`: what changes, and what would have to be carried. */
async function planMove({ from, to }: { from: string; to: string }, options: PlanOptions): Promise<void> {
  await withSession({ ...options, looksOnly: true }, async ({ client }) => {
    const data = await client.call("moves.plan", { query: { from, to } });
    const { items } = await client.call("project.stacks");
    if (options.json) printJson({ ...compareStacks(items, from, to), data });
    else {
      for (const line of differenceLines(items, from, to)) printLine(line);
      printLine("");
      for (const line of movePlanLines(data)) printLine(line);
    }
    tellProblems(data.problems, `${from}..${to} can not be moved: ${data.problems.length} faults`, options.json);
  });
}

/** A project that serves what others train has endpoints and no pipeline; one with several asks which, unless endpoints are to be seen. */
async function planOfRun(
  client: Session["client"],
  pipeline: string | undefined,
  options: PlanOptions,
  hasEndpoints: boolean,
): Promise<Plan | undefined> {
  let body: Awaited<ReturnType<typeof runRequest>>;
  try {
    body = await runRequest(client, pipeline, options);
  } catch (error) {
    const noneChosen = isEspalierError(error) && (error.code === "NOT_FOUND" || error.code === "INVALID_INPUT");
    if (!hasEndpoints || !noneChosen) throw error;
    if (!options.json)
      printLine(colors.dim(`${error.message}: only endpoints are planned. ${error.hint ?? ""}`.trim()));
    return undefined;
  }
  return client.call("plan.make", { body });
}

function printPlan({ pipeline, stack, digest, steps, forecast, gaps, permissions }: Plan): void {
  printLine(`${colors.bold(pipeline)}  stack ${stack}  ${colors.dim(digest)}`);
  if (steps.length === 0) return;
  printTable(
    ["step", "what", "tool", "action", "expected", "because"],
    steps.map((step) => [step.step, step.what, step.tool, step.action, expectedOf(step), step.reason]),
  );
  for (const line of [...routeLines(steps), ...forecastLines(forecast, steps)]) printLine(line);
  for (const { tool, what, fallback } of gaps) {
    printLine(`${colors.yellow("mind")} ${tool}: ${what}${fallback === undefined ? "" : `; ${fallback}`}`);
  }
  for (const { tool, needs } of permissions) printLine(`${colors.cyan("allow")} ${tool}: ${needs.join(", ")}`);
}

function expectedOf({ action, expectedSeconds, expectedFrom }: Plan["steps"][number]): string {
  if (action === "cached" || action === "skip") return "";
  return expectedSeconds === undefined ? "never ran" : `${formatSeconds(expectedSeconds * 1000)} (of ${expectedFrom})`;
}

/** Steps elsewhere, by the way that their files go. */
function routeLines(steps: Plan["steps"]): string[] {
  const elsewhere = steps.filter(
    ({ route, action }) => route !== undefined && action !== "cached" && action !== "skip",
  );
  const routes = new Set(elsewhere.map(({ route }) => route as string));
  return [...routes].map((route) => {
    const taking = elsewhere.filter((step) => step.route === route);
    const bytes = taking.reduce((sum, { inputBytes = 0 }) => sum + inputBytes, 0);
    return `${taking.length} steps elsewhere get and bring their files by ${route}; ${formatBytes(bytes)} of their inputs are known now`;
  });
}

function forecastLines(
  { seconds, unknownSteps, dollars, unpricedSteps }: Plan["forecast"],
  steps: Plan["steps"],
): string[] {
  const running = steps.filter(({ action }) => action === "run" || action === "unknown");
  if (running.length === 0) return ["nothing would run"];
  const named = (names: readonly string[]): string =>
    `${names.slice(0, 5).join(", ")}${names.length > 5 ? `, and ${names.length - 5} more` : ""}`;
  const time =
    unknownSteps.length === running.length
      ? "how long is not known, since none of them ever ran"
      : `about ${formatSeconds(seconds * 1000)}${unknownSteps.length === 0 ? "" : `, without ${named(unknownSteps)}, which never ran`}`;
  const unpriced = unpricedSteps.length === 0 ? "" : `, without ${named(unpricedSteps)}, whose price is not known`;
  return [`${running.length} of ${steps.length} steps would run: ${time}; ${dollars.toFixed(2)} $${unpriced}`];
}

function toldOf(planned: Plan | undefined, endpoints: readonly EndpointPlan[], count: number): string {
  const ofRun = planned?.problems.length ?? 0;
  if (ofRun === count) return `This run can not start: ${count} faults`;
  if (ofRun === 0) return `${count} of ${endpoints.length} endpoints can not be served as they are declared`;
  return `This run can not start, and endpoints can not be served as they are declared: ${count} faults`;
}
