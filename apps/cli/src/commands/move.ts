import { createInterface } from "node:readline/promises";
import type { Client, Move } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { createLogUpdate } from "log-update";
import colors from "picocolors";
import { movePlanLines, requirePair } from "../move-lines.ts";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { setDefaultStack } from "../set-default-stack.ts";
import { tellProblems } from "../terminal/faults-error.ts";
import { formatBytes, formatSeconds, printJson, printLine } from "../terminal/output.ts";

interface MoveOptions extends CommonOptions {
  yes?: boolean;
  verify: string;
  makeDefault?: boolean;
}

export function command(): Command {
  return projectCommand(
    "move",
    "Carry the project from one stack to another: what the record refers to, by digest, verified. Cut off anywhere, the same command goes on.",
  )
    .argument("<stacks>", "the one that is left and the one that is moved to, such as laptop..servers")
    .option("--yes", "do not ask")
    .option("--verify <how much>", "what is read back and hashed at the end: sample or all", "sample")
    .option("--make-default", "afterwards, make the second stack the default")
    .action(move);
}

async function move(stacks: string, options: MoveOptions): Promise<void> {
  const { from, to } = requirePair(stacks);
  const { verify } = options;
  if (verify !== "sample" && verify !== "all") {
    throw new EspalierError("INVALID_INPUT", `"${verify}" is neither sample nor all`, { at: "--verify" });
  }
  await withSession(options, async ({ client, projectDirectory }) => {
    const plan = await client.call("moves.plan", { query: { from, to } });
    if (!options.json) for (const line of movePlanLines(plan)) printLine(line);
    if (plan.problems.length > 0) {
      if (options.json) printJson({ plan });
      return tellProblems(plan.problems, `${stacks} can not be moved: ${plan.problems.length} faults`, options.json);
    }
    if (options.yes !== true && plan.missing.artifacts > 0) await confirm(options);
    const started = await client.call("moves.start", { body: { from, to, verify } });
    const ended = await follow(client, started, options.json);
    if (ended.state === "failed") throw failureOf(ended);
    if (ended.state === "done" && options.makeDefault) {
      await setDefaultStack(projectDirectory, to, [from, to]);
    }
    if (options.json) printJson({ plan, move: ended });
    else for (const line of resultLines(ended, options)) printLine(line);
    if (ended.state === "damaged") process.exitCode = new EspalierError("CORRUPTED", "").exitCode;
  });
}

async function confirm({ json }: MoveOptions): Promise<void> {
  if (json || !process.stdin.isTTY) {
    throw new EspalierError("INVALID_INPUT", "Nothing was moved: nobody could be asked", {
      hint: "Say --yes to move without being asked.",
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question("Move it? [y/N] ");
  terminal.close();
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new EspalierError("CANCELLED", "Nothing was moved");
}

async function follow(client: Client, started: Move, asJson: boolean | undefined): Promise<Move> {
  const screen = asJson || !process.stdout.isTTY ? undefined : createLogUpdate(process.stdout);
  let shownAt = 0;
  try {
    for await (const { data } of client.events("moves.events", { params: { moveId: started.id } })) {
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
  return client.call("moves.get", { params: { moveId: started.id } });
}

function progressLine({ phase, artifacts, objects, bytes }: Move): string {
  return `${phase}: ${artifacts.toLocaleString("en")} artifacts looked at, ${objects.toLocaleString("en")} objects (${formatBytes(bytes)}) carried`;
}

function failureOf({ error }: Move): EspalierError {
  const code = (error?.code ?? "UNAVAILABLE") as EspalierError["code"];
  return new EspalierError(code, error?.message ?? "The move was interrupted", {
    hint: error?.hint ?? "The same command goes on where it was.",
    ...(error?.at === undefined ? {} : { at: error.at }),
  });
}

function resultLines(ended: Move, { makeDefault }: MoveOptions): string[] {
  const { artifacts, held, objects, bytes, verified, failures, failed, damaged, startedAt, finishedAt, to } = ended;
  const count = (number: number): string => number.toLocaleString("en");
  const lines = [
    `${count(artifacts)} artifacts, ${count(held)} of them there already; ${count(objects)} objects (${formatBytes(bytes)}) carried, ${count(verified)} read back and hashed`,
  ];
  for (const { type, digest, message } of failures.slice(0, 20))
    lines.push(`  ${colors.red("✗")} ${type} ${digest}: ${message}`);
  if (failed > 20) lines.push(`  and ${count(failed - 20)} more`);
  for (const key of damaged.slice(0, 20)) lines.push(`  ${colors.red("✗")} ${to} gives back other bytes for ${key}`);
  const took = formatSeconds((finishedAt ?? startedAt) - startedAt);
  if (ended.state !== "done") {
    return [
      ...lines,
      `${colors.red("not whole")}, after ${took}`,
      `${colors.cyan("next")} espalier doctor --deep names what made them; run that again, then move again`,
    ];
  }
  lines.push(`${colors.green("done")} in ${took}`);
  lines.push(
    makeDefault
      ? `${to} is the default stack now`
      : `${colors.cyan("next")} espalier run --stack ${to}, or: espalier stack use ${to}`,
  );
  return lines;
}
