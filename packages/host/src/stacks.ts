import { didYouMean, type Fault, jsonPointer } from "@espalier/core";
import type { ComputeChoice, ProjectConfig, StackConfig, ToolChoice } from "./project-schema.ts";

/** A stack with what it inherits, and without `extends`. */
export type ResolvedStack = Omit<StackConfig, "extends">;

export interface ResolvedStacks {
  stacks: Readonly<Record<string, ResolvedStack>>;
  faults: Fault[];
}

/** The stack that is there when a project names none: everything embedded. */
export const implicitStack = "laptop";

export function resolveStacks(config: Pick<ProjectConfig, "stacks">): ResolvedStacks {
  const declared = config.stacks ?? {};
  const faults: Fault[] = [];
  const stacks = Object.fromEntries(
    Object.keys(declared).map((name) => [name, resolveOne(name, declared, faults, [])]),
  );
  if (Object.keys(stacks).length === 0) return { stacks: { [implicitStack]: {} }, faults };
  return { stacks, faults };
}

function resolveOne(
  name: string,
  declared: Readonly<Record<string, StackConfig>>,
  faults: Fault[],
  path: readonly string[],
): ResolvedStack {
  const { extends: parent, ...own } = declared[name] ?? {};
  if (parent === undefined) return own;
  const pointer = jsonPointer(["stacks", name, "extends"]);
  if (declared[parent] === undefined) {
    const hint = didYouMean(parent, Object.keys(declared), "stacks");
    faults.push({
      code: "INVALID_CONFIG",
      check: "stack-extends",
      message: `there is no stack \`${parent}\``,
      pointer,
      hint,
    });
    return own;
  }
  const cycle = [...path, name];
  if (cycle.includes(parent)) {
    const message = `stacks extend each other in a circle: ${[...cycle, parent].join(" -> ")}`;
    // A circle is one fault, however many stacks lie on it.
    if (!faults.some((fault) => fault.check === "stack-cycle")) {
      faults.push({ code: "INVALID_CONFIG", check: "stack-cycle", message, pointer });
    }
    return own;
  }
  return merge(resolveOne(parent, declared, faults, cycle), own);
}

function merge(parent: ResolvedStack, own: ResolvedStack): ResolvedStack {
  const { compute: parentCompute, ...parentTools } = parent;
  const { compute: ownCompute, ...ownTools } = own;
  const compute = mergeEach<ComputeChoice>(parentCompute, ownCompute);
  return { ...mergeEach<ToolChoice>(parentTools, ownTools), ...(compute === undefined ? {} : { compute }) };
}

function mergeEach<Choice extends ToolChoice>(
  parent: Readonly<Record<string, Choice | undefined>> | undefined,
  own: Readonly<Record<string, Choice | undefined>> | undefined,
): Record<string, Choice> | undefined {
  if (parent === undefined && own === undefined) return undefined;
  const merged: Record<string, Choice> = {};
  for (const name of new Set([...Object.keys(parent ?? {}), ...Object.keys(own ?? {})])) {
    const [from, to] = [parent?.[name], own?.[name]];
    const choice = to === undefined ? from : mergeChoice(from, to);
    if (choice !== undefined) merged[name] = choice;
  }
  return merged;
}

/** Another tool shares no settings with the parent's; the same one takes over those it does not set. */
function mergeChoice<Choice extends ToolChoice>(parent: Choice | undefined, own: Choice): Choice {
  if (parent === undefined || (own.uses !== undefined && own.uses !== parent.uses)) return own;
  const settings = deepMerge(parent.with, own.with);
  return { ...parent, ...own, ...(settings === undefined ? {} : { with: settings }) };
}

type Settings = NonNullable<ToolChoice["with"]>;

function deepMerge(parent: Settings | undefined, own: Settings | undefined): Settings | undefined {
  if (parent === undefined || own === undefined) return own ?? parent;
  const merged: Settings = { ...parent };
  for (const [key, value] of Object.entries(own)) {
    const before = merged[key];
    merged[key] = isMapping(before) && isMapping(value) ? (deepMerge(before, value) ?? value) : value;
  }
  return merged;
}

const isMapping = (value: unknown): value is Settings =>
  typeof value === "object" && value !== null && !Array.isArray(value);
