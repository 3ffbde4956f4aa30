import type { StackInfo } from "@espalier/contract";
import { expect, test } from "vitest";
import { branchesOf, changedMilestones, milestones } from "./milestones.ts";

type Component = StackInfo["components"][number];
const component = (milestone: number, more: Partial<Component>): Component => ({
  component: "artifacts",
  tool: "filesystem",
  provider: "embedded",
  verified: "real: Linux",
  milestone,
  capabilities: [],
  skills: [],
  cost: { money: "none", operations: "none" },
  losses: [],
  ...more,
});

const laptop = {
  components: [component(1, {}), component(5, { component: "compute", name: "default", tool: "process" })],
};
const servers = {
  components: [
    component(1, { tool: "s3", provider: "open-source" }),
    component(5, { component: "compute", name: "default", tool: "process" }),
    component(5, { component: "compute", name: "train", tool: "ray" }),
  ],
};

test("a milestone has the tools of its components, a compute by its name", () => {
  expect(milestones.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  expect(branchesOf(servers, 5).map(({ place, tool }) => `${place}: ${tool}`)).toEqual([
    "compute: process",
    "compute train: ray",
  ]);
  expect(branchesOf(laptop, 2)).toEqual([]);
});

test("another stack changes the milestones whose tools differ, and no other", () => {
  expect([...changedMilestones(laptop, servers)]).toEqual([1, 5]);
  expect([...changedMilestones(laptop, laptop)]).toEqual([]);
});
