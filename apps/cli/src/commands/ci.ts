import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Client, Plan } from "@espalier/contract";
import {
  type Delivery,
  EspalierError,
  githubWorkflow,
  gitlabPipeline,
  judgingSteps,
  type PipelineIr,
  pinnedActions,
  pullRequestComment,
} from "@espalier/core";
import { findPipeline, findProject, loadProject, requireStack, wholePipeline } from "@espalier/host";
import type { Command } from "commander";
import { stringify } from "yaml";
import { type CommonOptions, collectList, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine } from "../terminal/output.ts";
import { version } from "../version.ts";
import { writeOnce } from "../write-once.ts";

const vendors = {
  github: { file: (pipeline: string) => `.github/workflows/espalier-${pipeline}.yml`, write: githubWorkflow },
  gitlab: { file: () => ".gitlab-ci.yml", write: gitlabPipeline },
} as const;

export function command(): Command {
  const group = commandGroup(
    "ci",
    "Continuous integration: a workflow for the project, and what it says on a pull request.",
  );
  subcommand(
    group,
    "init <vendor>",
    "Write a workflow for `github` or `gitlab`: plan and evaluate on a pull request, run and promote through stacks on merge",
  )
    .option("--pipeline <pipeline>", "the pipeline (default: the project's only one, or `train`)")
    .option("--stacks <stacks>", "stacks in the order of promotion (default: the project's default stack)", collectList)
    .option("--branch <branch>", "the branch that is delivered", "main")
    .option("--secrets <names>", "variables that the vendor keeps secret", collectList)
    .option("--force", "replace a file that is there")
    .action(init);
  subcommand(group, "comment", "Markdown of a plan and a run, with the metrics beside those of the newest whole run")
    .requiredOption("--plan <file>", "what `espalier plan --json` printed")
    .requiredOption("--run <file>", "what `espalier run --json` printed")
    .option("--against <run>", "the run to compare with")
    .action(comment);
  return group;
}

interface InitOptions extends CommonOptions {
  pipeline?: string;
  stacks?: string[];
  branch: string;
  secrets?: string[];
  force?: boolean;
}

async function init(vendor: string, options: InitOptions): Promise<void> {
  if (!Object.hasOwn(vendors, vendor)) {
    throw new EspalierError("INVALID_INPUT", `There is no generator for \`${vendor}\``, {
      hint: `There are: ${Object.keys(vendors).join(", ")}.`,
    });
  }
  const { file, write } = vendors[vendor as keyof typeof vendors];
  const directory = await findProject(options.project ?? process.cwd());
  const delivery = await deliveryOf(directory, options);
  const path = join(directory, file(delivery.pipeline));
  const yaml = stringify(write(delivery), { lineWidth: 0, aliasDuplicateObjects: false });
  const text = `${heading(vendor, delivery)}${withReleases(yaml)}`;
  const [state] = writeOnce([{ path, text }], options.force);
  if (options.json) return printJson({ path, ...delivery });
  printLine(`${state?.written ? "written" : "unchanged"}  ${path}`);
  printLine(
    `A pull request plans and runs \`${delivery.pipeline}\` until ${delivery.until.join(", ")}; ${delivery.branch} runs it on ${delivery.stacks.join(", then ")}.`,
  );
  if (delivery.secrets.length > 0) printLine(`Keep at ${vendor}: ${delivery.secrets.join(", ")}`);
}

async function deliveryOf(directory: string, options: InitOptions): Promise<Delivery> {
  const project = await loadProject(directory);
  const parsed = await findPipeline(directory, options.pipeline ?? "train");
  const pipeline: PipelineIr = wholePipeline(parsed);
  const stacks = options.stacks ?? [project.defaultStack];
  for (const stack of stacks) requireStack(project, stack);
  const ofSteps = Object.values(pipeline.steps).flatMap(({ secrets = [] }) => secrets);
  return {
    pipeline: pipeline.name,
    until: judgingSteps(pipeline),
    stacks,
    branch: options.branch,
    secrets: [...new Set(["DATABASE_URL", ...ofSteps, ...(options.secrets ?? [])])].sort(),
    version,
  };
}

const withReleases = (yaml: string): string =>
  Object.entries(pinnedActions).reduce(
    (text, [action, release]) => text.replaceAll(action, `${action} # ${release}`),
    yaml,
  );

const heading = (vendor: string, { pipeline, stacks }: Delivery): string =>
  `# Written by \`espalier ci init ${vendor} --pipeline ${pipeline} --stacks ${stacks.join(",")}\`; yours to change.
# Runs share their record and cache only by a database (DATABASE_URL) and a store that every job reaches.
`;

interface CommentOptions extends CommonOptions {
  plan: string;
  run: string;
  against?: string;
}

async function comment(options: CommentOptions): Promise<void> {
  const plan = readJson(options.plan) as Plan | { error: { code: string; message: string; hint?: string } };
  const run = readJson(options.run) as {
    run?: { id: string; pipeline: string; stack: string };
    error?: { code: string; message: string; hint?: string; details?: { runId?: string } };
  };
  await withSession({ ...options, looksOnly: true }, async ({ client }) => {
    const id = run.run?.id ?? run.error?.details?.runId;
    const detail = id === undefined ? undefined : await client.call("runs.get", { params: { runId: id } });
    const pipeline = "pipeline" in plan ? plan.pipeline : (detail?.run.pipeline ?? "");
    const stack = "stack" in plan ? plan.stack : (detail?.run.stack ?? "");
    const against = options.against ?? (await newestWhole(client, { pipeline, stack }, id));
    const planned = "steps" in plan ? plan.steps : [];
    const states = new Map(detail?.steps.filter(({ branch }) => branch === -1).map((step) => [step.step, step]));
    const text = pullRequestComment({
      pipeline,
      stack,
      steps: planned.map(({ step, action, reason }) => ({ step, action, reason, state: states.get(step)?.state })),
      problems: "problems" in plan ? plan.problems : [],
      ...(run.error === undefined ? {} : { error: run.error }),
      ...(against === undefined ? {} : { against }),
      metrics: id === undefined ? [] : await differences(client, id, against),
    });
    if (options.json) printJson({ markdown: text });
    else process.stdout.write(text);
  });
}

/** Of what was delivered on the same stack, not of what other pull requests tried; as far back as a thousand runs. */
async function newestWhole(
  client: Client,
  { pipeline, stack }: { pipeline: string; stack: string },
  own: string | undefined,
): Promise<string | undefined> {
  let cursor: string | undefined;
  for (let page = 0; page < 10; page++) {
    const query = { pipeline, state: "succeeded" as const, limit: 100, ...(cursor === undefined ? {} : { cursor }) };
    const { items, next } = await client.call("runs.list", { query });
    const whole = items.find(({ id, stack: on, options: { until, only, from } }) => {
      const isPart = until !== undefined || only !== undefined || from !== undefined;
      return id !== own && on === stack && !isPart;
    });
    if (whole !== undefined || next === undefined) return whole?.id;
    cursor = next;
  }
  return undefined;
}

async function differences(client: Client, id: string, against: string | undefined) {
  const asNumber = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
  if (against === undefined) {
    const { items } = await client.call("runs.metrics", { params: { runId: id }, query: { limit: 1_000 } });
    return items.map(({ stepName, key, value }) => ({ step: stepName, key, before: undefined, now: asNumber(value) }));
  }
  const { metrics } = await client.call("runs.compare", { query: { ids: `${against},${id}` } });
  return metrics.map(({ step, key, values: [before, now] }) => ({
    ...{ step, key },
    before: asNumber(before),
    now: asNumber(now),
  }));
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new EspalierError("INVALID_INPUT", `${path} holds no JSON document of Espalier: ${String(cause)}`, {
      cause,
      at: path,
    });
  }
}
