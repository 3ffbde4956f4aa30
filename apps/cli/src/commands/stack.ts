import { findProject } from "@espalier/host";
import type { Command } from "commander";
import { type CommonOptions, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { setDefaultStack } from "../set-default-stack.ts";
import { chooseStack, compareStacks, differenceLines, problemLines } from "../stack-lines.ts";
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

async function show(name: string | undefined, options: CommonOptions): Promise<void> {
  const chosen = chooseStack(await stacks(options), name);
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
  for (const line of problemLines(chosen)) printLine(line);
  if (chosen.isDefault) for (const line of await mirrors(options)) printLine(line);
}

async function diff(from: string, to: string, options: CommonOptions): Promise<void> {
  const items = await stacks(options);
  if (options.json) return printJson(compareStacks(items, from, to));
  for (const line of differenceLines(items, from, to)) printLine(line);
  for (const name of [from, to]) {
    const lines = problemLines(chooseStack(items, name));
    if (lines.length > 0) printLine(`\n${name}`);
    for (const line of lines) printLine(line);
  }
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
