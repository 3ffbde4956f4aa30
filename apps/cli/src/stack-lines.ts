import type { StackInfo } from "@espalier/contract";
import {
  type ComponentDifference,
  EspalierError,
  rangeText,
  type StackDifference,
  stackDifference,
} from "@espalier/core";
import colors from "picocolors";
import { tableLines } from "./terminal/output.ts";

export function chooseStack(items: readonly StackInfo[], name: string | undefined): StackInfo {
  const chosen = items.find((item) => (name === undefined ? item.isDefault : item.name === name));
  if (chosen !== undefined) return chosen;
  throw new EspalierError("NOT_FOUND", `There is no stack "${name}"`, {
    at: "espalier.yaml: stacks",
    hint: `Known: ${items.map((item) => item.name).join(", ")}.`,
  });
}

export function compareStacks(
  items: readonly StackInfo[],
  from: string,
  to: string,
): StackDifference & { from: string; to: string } {
  const [one, other] = [chooseStack(items, from), chooseStack(items, to)];
  return { from, to, ...stackDifference(one.components, other.components) };
}

/** Two stacks side by side by milestone, and what the change means. */
export function differenceLines(items: readonly StackInfo[], from: string, to: string): string[] {
  const difference = compareStacks(items, from, to);
  const other = chooseStack(items, to);
  const rows = difference.components.map((component) => [
    component.milestone,
    component.name === undefined ? component.component : `${component.component} ${component.name}`,
    component.from?.tool ?? "none",
    toolOf(component),
    component.changed ? verifiedOf(other, component) : "",
  ]);
  return [
    ...tableLines(["", "component", from, to, `verified in ${to}`], rows),
    ...difference.components.flatMap(changesOf),
    "",
    `to learn: ${difference.skillsToLearn.join(", ") || "nothing"}`,
    `no longer needed: ${difference.skillsNoLongerNeeded.join(", ") || "nothing"}`,
  ];
}

function toolOf({ changed, settingsDiffer, to }: ComponentDifference): string {
  if (changed) return colors.bold(to?.tool ?? "none");
  return settingsDiffer ? "the same, set up otherwise" : "the same";
}

/** What is wrong with a stack's tools and settings. */
export function problemLines({ problems }: StackInfo): string[] {
  return problems.flatMap(({ message, at, hint }) => [
    `${colors.red("✗")} ${at === undefined ? "" : `${colors.bold(at)}: `}${message}`,
    ...(hint === undefined ? [] : [`  ${colors.cyan("next")} ${hint}`]),
  ]);
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
    ...(to === undefined ? [] : ownershipLines(to)),
  ];
}

const held = ["not at all: standard formats", "leaving takes days", "leaving takes weeks", "leaving takes months"];

function ownershipLines({ tool, ownership }: NonNullable<ComponentDifference["to"]>): string[] {
  if (ownership === undefined) return [`  owning it: the manifest of ${tool} does not say`];
  const { setUpHours, hoursAMonth, dollarsAMonth, lockIn, wayOut, source, asOf } = ownership;
  return [
    `  owning it: ${rangeText(setUpHours)} hours to set up, then ${rangeText(hoursAMonth)} hours and ${rangeText(dollarsAMonth)} $ a month (${source}, ${asOf})`,
    `  locked in: ${held[lockIn]}; the way out: ${wayOut}`,
  ];
}
