import type { Ownership } from "./advice/ownership.ts";
import type { ComponentName, ToolManifest } from "./manifest.ts";

/** What of a manifest a comparison reads. */
export type ComparedTool = Pick<
  ToolManifest,
  "component" | "milestone" | "tool" | "provider" | "capabilities" | "skills" | "cost"
> & {
  /** Of a compute, since a stack may have several; absent for all other components. */
  name?: string | undefined;
  losses: readonly string[];
  ownership?: Ownership | undefined;
  settingsDigest?: string | undefined;
};

/** One component, or one compute by its name, of two stacks; a side that has none of it is absent. */
export interface ComponentDifference {
  milestone: number;
  component: ComponentName;
  name?: string;
  from?: ComparedTool;
  to?: ComparedTool;
  changed: boolean;
  /** The same tool, set up in another way: another folder, bucket or address. */
  settingsDiffer: boolean;
  /** What the tool of `to` can do and that of `from` can not, in the words of their manifests, and the other way round. */
  gained: string[];
  lost: string[];
  /** Losses that the manifest of `to` names and that of `from` does not. */
  newLosses: string[];
}

export interface StackDifference {
  components: ComponentDifference[];
  /** Skills that `to` asks for and `from` does not, and the other way round. */
  skillsToLearn: string[];
  skillsNoLongerNeeded: string[];
}

/** Two stacks side by side, in the order of the milestones; a compute that only one of them names is compared with the other's default. */
export function stackDifference(from: readonly ComparedTool[], to: readonly ComparedTool[]): StackDifference {
  const [one, other] = [byPlace(from), byPlace(to)];
  const places = [...new Set([...one.keys(), ...other.keys()])];
  const components = places.map((place) => differenceOf(toolAt(one, place), toolAt(other, place), nameOf(place)));
  components.sort((a, b) => a.milestone - b.milestone || compare(a.component, b.component) || compare(a.name, b.name));
  const [before, after] = [skillsOf(from), skillsOf(to)];
  return { components, skillsToLearn: without(after, before), skillsNoLongerNeeded: without(before, after) };
}

const defaultCompute = "compute default";
const placeOf = ({ component, name }: ComparedTool): string =>
  name === undefined ? component : `${component} ${name}`;
const nameOf = (place: string): string | undefined => place.split(" ")[1];
const byPlace = (tools: readonly ComparedTool[]): Map<string, ComparedTool> =>
  new Map(tools.map((tool) => [placeOf(tool), tool]));

function toolAt(tools: ReadonlyMap<string, ComparedTool>, place: string): ComparedTool | undefined {
  return tools.get(place) ?? (nameOf(place) === undefined ? undefined : tools.get(defaultCompute));
}

function differenceOf(
  from: ComparedTool | undefined,
  to: ComparedTool | undefined,
  name: string | undefined,
): ComponentDifference {
  const either = to ?? from;
  if (either === undefined) throw new RangeError("a place without a tool on either side");
  return {
    milestone: either.milestone,
    component: either.component,
    ...(name === undefined ? {} : { name }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    changed: from?.tool !== to?.tool || from?.provider !== to?.provider,
    settingsDiffer: from?.tool === to?.tool && from?.settingsDigest !== to?.settingsDigest,
    gained: without(to?.capabilities ?? [], from?.capabilities ?? []),
    lost: without(from?.capabilities ?? [], to?.capabilities ?? []),
    newLosses: without(to?.losses ?? [], from?.losses ?? []),
  };
}

const skillsOf = (tools: readonly ComparedTool[]): string[] =>
  [...new Set(tools.flatMap((tool) => tool.skills))].sort(compare);

function without(list: readonly string[], known: readonly string[]): string[] {
  const removed = new Set(known);
  return list.filter((one) => !removed.has(one));
}

const compare = (a = "", b = ""): number => (a < b ? -1 : Number(a > b));
