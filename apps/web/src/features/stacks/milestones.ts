import type { StackInfo } from "@espalier/contract";

export interface Milestone {
  number: number;
  name: string;
  /** What does it on every stack, whatever is chosen beside it. */
  trunk?: string;
}

/** The thirteen standard stages, in their order. */
export const milestones: readonly Milestone[] = [
  { number: 1, name: "Version data" },
  { number: 2, name: "Validate data" },
  { number: 3, name: "Build features", trunk: "SQL steps" },
  { number: 4, name: "Orchestrate", trunk: "the engine" },
  { number: 5, name: "Train and tune" },
  { number: 6, name: "Track experiments", trunk: "the record" },
  { number: 7, name: "Evaluate", trunk: "gates" },
  { number: 8, name: "Register models", trunk: "the record" },
  { number: 9, name: "Package" },
  { number: 10, name: "Deliver", trunk: "generated workflows" },
  { number: 11, name: "Deploy and serve" },
  { number: 12, name: "Monitor", trunk: "monitors" },
  { number: 13, name: "Retrain" },
];

export interface Branch {
  /** The compute's name, or the component's. */
  place: string;
  tool: string;
  provider: string;
  verified: string;
}

/** What a stack puts on a milestone. */
export function branchesOf({ components }: Pick<StackInfo, "components">, milestone: number): Branch[] {
  return components
    .filter((component) => component.milestone === milestone)
    .map(({ component, name, tool, provider, verified }) => ({
      place: name === undefined || name === "default" ? component : `${component} ${name}`,
      tool,
      provider,
      verified,
    }));
}

/** Milestones at which two stacks use different tools. */
export function changedMilestones(
  one: Pick<StackInfo, "components">,
  other: Pick<StackInfo, "components">,
): Set<number> {
  const told = (stack: Pick<StackInfo, "components">, number: number): string =>
    branchesOf(stack, number)
      .map(({ place, tool }) => `${place} ${tool}`)
      .sort()
      .join("; ");
  return new Set(milestones.map(({ number }) => number).filter((number) => told(one, number) !== told(other, number)));
}
