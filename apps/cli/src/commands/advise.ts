import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Answers, advise, EspalierError, nameSchema, type WholeAdvice } from "@espalier/core";
import { readAnswers, stackText, toolManifests } from "@espalier/host";
import type { Command } from "commander";
import { parseDocument } from "yaml";
import { decisionRecord, readForecast } from "../advice/decision-record.ts";
import { printAdvice } from "../advice/print-advice.ts";
import { isDay } from "../is-day.ts";
import { type CommonOptions, collectList, projectCommand } from "../project-command.ts";
import { printJson, printLine, printTable } from "../terminal/output.ts";

interface AdviseOptions extends CommonOptions {
  from?: string;
  all?: boolean;
  look?: string[];
  record?: boolean;
  write?: string;
  review?: string | true;
  today?: string;
}

export function command(): Command {
  return projectCommand("advise", "Which tool at each milestone, and why: from your answers and the tools' manifests.")
    .option("--from <file>", "your answers (default: advice.yaml; asked in the terminal when there is none)")
    .option(
      "--look <what>",
      "look at what runs already: a kubeconfig, a Terraform state, the address of MLflow or Airflow; may be repeated",
      collectList,
    )
    .option("--all", "every criterion of every choice")
    .option("--record", "write a decision record to docs/decisions")
    .option("--write <stack>", "write the stack to espalier.yaml under this name")
    .option("--review [record]", "hold the forecast of a decision record against what the project's record tells")
    .option("--today <date>", "hold deadlines and the age of figures against this day")
    .action(run);
}

async function run(options: AdviseOptions): Promise<void> {
  const folder = resolve(options.project ?? process.cwd());
  if (options.review !== undefined) return review(folder, options.review, options);
  if (options.write !== undefined) requireStackName(options.write);
  const path = options.from ?? join(folder, "advice.yaml");
  const answers = await answersOf(path, options);
  if (answers === undefined) return;
  const today = options.today ?? new Date().toISOString().slice(0, 10);
  if (!isDay(today)) {
    throw new EspalierError("INVALID_INPUT", `"${today}" is no day`, {
      at: "--today",
      hint: "For example: 2026-11-27.",
    });
  }
  const whole = advise({ tools: toolManifests.map(({ manifest }) => manifest), answers, today });
  const name = options.write ?? "advised";
  const text = stackText(name, whole);
  const written = await writeWhatIsAsked(folder, options, whole, answers, today);
  if (options.json) return printJson({ ...whole, stack: text, written });
  printAdvice(whole, options.all ?? false);
  printLine(text.includes("{}") ? "\nthe stack: empty, what comes with Espalier is it" : `\n${text.trimEnd()}`);
  for (const file of written) printLine(`written: ${file}`);
  if (written.length === 0)
    printLine("\nnext: --record writes a decision to commit, --write <stack> the stack, --all every criterion");
}

/** The rule of espalier.yaml, before anything is written there. */
function requireStackName(name: string): void {
  if (nameSchema.safeParse(name).success && !(name in Object.prototype)) return;
  throw new EspalierError("INVALID_INPUT", `"${name}" can not be the name of a stack`, {
    at: "--write",
    hint: "Letters, digits, - and _, such as: advised.",
  });
}

async function answersOf(path: string, { look = [], from, json }: AdviseOptions): Promise<Answers | undefined> {
  const { lookAt } = await import("../advice/look-around.ts");
  const found = [];
  for (const source of look) found.push(await lookAt(source));
  const isThere = await readFile(path).then(
    () => true,
    () => false,
  );
  if (!isThere && from === undefined && process.stdin.isTTY && json !== true) {
    const { interview } = await import("../advice/interview.ts");
    return interview(path, found);
  }
  if (found.length > 0) {
    const running = found.flatMap((one) => one.running.map((entry) => ({ ...entry, satisfied: "yes" })));
    if (json) printJson({ found, running });
    else {
      for (const { source, told } of found) printLine(`# ${source}: ${told}`);
      const { stringify } = await import("yaml");
      printLine("# To be added to the answers, with how content you are:");
      printLine(stringify({ running }).trimEnd());
    }
    return undefined;
  }
  return readAnswers(path);
}

async function writeWhatIsAsked(
  folder: string,
  options: AdviseOptions,
  whole: WholeAdvice,
  answers: Answers,
  today: string,
): Promise<string[]> {
  const written: string[] = [];
  if (options.write !== undefined) {
    const path = join(folder, "espalier.yaml");
    const document = parseDocument(await readProject(path));
    if (document.hasIn(["stacks", options.write])) {
      throw new EspalierError("CONFLICT", `espalier.yaml has a stack "${options.write}" already`, {
        at: `espalier.yaml: stacks.${options.write}`,
        hint: "Choose another name; `espalier stack diff` then holds the two side by side.",
      });
    }
    const stack = parseDocument(stackText(options.write, whole)).getIn(["stacks", options.write]);
    document.setIn(["stacks", options.write], stack);
    await writeFile(path, document.toString({ lineWidth: 0 }));
    written.push(path);
  }
  if (options.record) {
    const decisions = join(folder, "docs", "decisions");
    await mkdir(decisions, { recursive: true });
    const path = join(decisions, `${today}-tools.md`);
    await writeFile(path, decisionRecord(whole, answers, today, options.write ?? "advised"));
    written.push(path);
  }
  return written;
}

async function readProject(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new EspalierError("NOT_FOUND", "There is no espalier.yaml to write the stack to", {
      at: path,
      hint: "Run `espalier init --here` first, or leave --write away.",
      cause: error,
    });
  }
}

async function review(folder: string, record: string | true, options: AdviseOptions): Promise<void> {
  const path = record === true ? await newestRecord(folder) : resolve(record);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new EspalierError("NOT_FOUND", `${path} can not be read`, {
      at: path,
      hint: "`espalier advise --record` writes one.",
      cause: error,
    });
  }
  const forecast = readForecast(text, path);
  const { reviewAdvice } = await import("@espalier/core");
  const { readLedger } = await import("../advice/review-ledger.ts");
  const { withSession } = await import("../session.ts");
  await withSession({ ...options, looksOnly: true }, async ({ client }) => {
    const ledger = await readLedger(client, forecast.date, new Date());
    const lines = reviewAdvice(forecast, ledger);
    if (options.json) return printJson({ record: path, forecast, ledger, lines });
    printLine(
      `${path}, ${Math.floor(ledger.days)} days ago; since then ${ledger.runs} runs, ${ledger.failedRuns} of them failed`,
    );
    printTable(
      ["", "forecast", "recorded", ""],
      lines.map((line) => [line.what, line.forecast, line.recorded, line.verdict]),
    );
    const off = lines.filter(({ verdict }) => verdict === "differs");
    if (off.length > 0)
      printLine(
        `\nnext: ${off.map(({ what }) => what).join(", ")} came otherwise; change advice.yaml and ask again: espalier advise`,
      );
  });
}

async function newestRecord(folder: string): Promise<string> {
  const decisions = join(folder, "docs", "decisions");
  const names = await readdir(decisions).catch(() => [] as string[]);
  const newest = names
    .filter((name) => name.endsWith("-tools.md"))
    .sort()
    .at(-1);
  if (newest !== undefined) return join(decisions, newest);
  throw new EspalierError("NOT_FOUND", "There is no decision record to review", {
    at: decisions,
    hint: "`espalier advise --record` writes one; or name it: `--review <record>`.",
  });
}
