import { expect, test } from "vitest";
import { type ComparedTool, stackDifference } from "./stack-difference.ts";

const tool = (
  component: ComparedTool["component"],
  milestone: number,
  name: string,
  more: Partial<ComparedTool> = {},
): ComparedTool => ({
  component,
  milestone,
  tool: name,
  provider: "embedded",
  capabilities: [],
  skills: [],
  losses: [],
  cost: { money: "none", operations: "none" },
  ...more,
});
const laptop = [
  tool("compute", 5, "process", { name: "default", capabilities: ["shares-files"] }),
  tool("artifacts", 1, "filesystem", { skills: ["linux"] }),
];
const servers = [
  tool("artifacts", 1, "s3", { capabilities: ["presign"], skills: ["s3"], losses: ["slow"] }),
  tool("compute", 5, "process", { name: "default", capabilities: ["shares-files"] }),
  tool("compute", 5, "ray", { name: "train", provider: "open-source", skills: ["ray", "s3"] }),
  tool("tracking", 6, "mlflow"),
];

test("two stacks side by side, a compute that one lacks beside the other's default", () => {
  const { components, skillsToLearn, skillsNoLongerNeeded } = stackDifference(laptop, servers);
  expect(
    components.map(({ milestone, component, name, from, to, changed }) => [
      milestone,
      name === undefined ? component : `${component} ${name}`,
      from?.tool,
      to?.tool,
      changed,
    ]),
  ).toEqual([
    [1, "artifacts", "filesystem", "s3", true],
    [5, "compute default", "process", "process", false],
    [5, "compute train", "process", "ray", true],
    [6, "tracking", undefined, "mlflow", true],
  ]);
  expect(components[0]).toMatchObject({ gained: ["presign"], lost: [], newLosses: ["slow"] });
  expect(components[2]).toMatchObject({ gained: [], lost: ["shares-files"] });
  expect(skillsToLearn).toEqual(["ray", "s3"]);
  expect(skillsNoLongerNeeded).toEqual(["linux"]);
});

test("a stack beside itself differs in nothing", () => {
  const { components, skillsToLearn, skillsNoLongerNeeded } = stackDifference(servers, servers);
  expect(components.some((one) => one.changed || one.gained.length + one.lost.length + one.newLosses.length > 0)).toBe(
    false,
  );
  expect([...skillsToLearn, ...skillsNoLongerNeeded]).toEqual([]);
});
