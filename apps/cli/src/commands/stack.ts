import type { StackInfo } from "@espalier/contract";
import { type ComponentDifference, EspalierError, stackDifference } from "@espalier/core";
import { findProject } from "@espalier/host";
import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { setDefaultStack } from "../set-default-stack.ts";
import { printJson, printLine, printTable } from "../terminal/output.ts";

export function command(): Command {
  const stack = commandGroup("stack", "Stacks of espalier.yaml: which tool stands behind each component.");
  subcommand(stack, "list", "Stacks").action(list);
  subcommand(stack, "show [name]", "Tools of a stack").action(show);
  subcommand(stack, "diff <from> <to>", "What changes from one stack to another, by milestone").action(diff);
  subcommand(stack, "use <name>", "Make a stack the default").action(use);
  return stack;
}

async function stacks(options: CommonOptions) {
  return withSession(options, async ({ client }) => (await client.call("project.stacks")).items);
}

async function list(options: CommonOptions): Promise<void> {
  const items = await stacks(options);
  if (options.json) return printJson(items);
  printTable(
    ["stack", "", "extends", "tools"],
    items.map((item) => [
      item.name,
      item.isDefault ? "default" : "",
      item.extends,
      [...new Set(item.components.map((component) => component.provider))].join(", "),
    ]),
  );
}

function choose(items: readonly StackInfo[], name: string | undefined): StackInfo {
  const chosen = items.find((item) => (name === undefined ? item.isDefault : item.name === name));
  if (chosen !== undefined) return chosen;
  throw new EspalierError("NOT_FOUND", `There is no stack "${name}"`, {
    at: "espalier.yaml: stacks",
    hint: `Known: ${items.map((item) => item.name).join(", ")}.`,
  });
}

async function show(name: string | undefined, options: CommonOptions): Promise<void> {
  const chosen = choose(await stacks(options), name);
  if (options.json) return printJson(chosen);
  printLine(chosen.name);
  printTable(
    ["component", "tool", "provider", "verified"],
    chosen.components.map((component) => [
      component.name === undefined ? component.component : `${component.component} ${component.name}`,
      component.tool,
      component.provider,
      component.verified,
    ]),
  );
  for (const { message, at, hint } of chosen.problems) {
    printLine(`${colors.red("✗")} ${at === undefined ? "" : `${colors.bold(at)}: `}${message}`);
    if (hint !== undefined) printLine(`  ${colors.cyan("next")} ${hint}`);
  }
  if (chosen.isDefault) for (const line of await mirrors(options)) printLine(line);
}

async function diff(from: string, to: string, options: CommonOptions): Promise<void> {
  const items = await stacks(options);
  const [one, other] = [choose(items, from), choose(items, to)];
  const difference = stackDifference(one.components, other.components);
  if (options.json) return printJson({ from, to, ...difference });
  printTable(
    ["", "component", from, to, `verified in ${to}`],
    difference.components.map((component) => [
      component.milestone,
      component.name === undefined ? component.component : `${component.component} ${component.name}`,
      component.from?.tool ?? "none",
      component.changed ? colors.bold(component.to?.tool ?? "none") : "the same",
      component.changed ? verifiedOf(other, component) : "",
    ]),
  );
  for (const component of difference.components) for (const line of changesOf(component)) printLine(line);
  printLine("");
  printLine(`to learn: ${difference.skillsToLearn.join(", ") || "nothing"}`);
  printLine(`no longer needed: ${difference.skillsNoLongerNeeded.join(", ") || "nothing"}`);
}

function verifiedOf(stack: StackInfo, { component, to }: ComponentDifference): string {
  return stack.components.find((one) => one.component === component && one.tool === to?.tool)?.verified ?? "";
}

function changesOf({ component, name, from, to, changed, gained, lost, newLosses }: ComponentDifference): string[] {
  if (!changed) return [];
  const before = from === undefined ? "" : ` instead of ${from.tool}`;
  const cost = to === undefined ? [] : [`  costs: money ${to.cost.money}; operations ${to.cost.operations}`];
  return [
    "",
    colors.bold(`${component}${name === undefined ? "" : ` ${name}`}: ${to?.tool ?? "none"}${before}`),
    ...(gained.length === 0 ? [] : [`  ${colors.green("gained")}: ${gained.join(", ")}`]),
    ...(lost.length === 0 ? [] : [`  ${colors.yellow("lost")}: ${lost.join(", ")}`]),
    ...newLosses.map((loss) => `  ${colors.yellow("mind")}: ${loss}`),
    ...cost,
  ];
}

async function mirrors(options: CommonOptions): Promise<string[]> {
  const { items } = await withSession(options, ({ client }) => client.call("mirrors.list", {}));
  return items.map(({ mirror, pending, tries, lastError }) => {
    const failed = tries === 0 ? "" : `; ${tries} tries failed: ${lastError ?? ""}`;
    return `mirror ${mirror}: ${pending} changes wait${failed}`;
  });
}

async function use(name: string, options: CommonOptions): Promise<void> {
  const projectDirectory = await findProject(options.project ?? process.cwd());
  const known = (await stacks(options)).map((item) => item.name);
  await setDefaultStack(projectDirectory, name, known);
  if (options.json) printJson({ defaultStack: name });
  else printLine(`${name} is the default stack`);
}
