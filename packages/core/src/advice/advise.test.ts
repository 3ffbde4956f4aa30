import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ToolManifest } from "../manifest.ts";
import { advise } from "./advise.ts";
import { type Answers, answersSchema, criteria } from "./answers.ts";
import { places } from "./candidates.ts";
import { rank } from "./rank.ts";

const today = "2026-11-27";
const compute = places.find(({ component }) => component === "compute") as (typeof places)[number];

function tool(name: string, more: Partial<ToolManifest> = {}): ToolManifest {
  return {
    tool: name,
    provider: "open-source",
    component: "compute",
    milestone: 5,
    summary: name,
    capabilities: [],
    skills: [name],
    cost: { money: "some", operations: "some" },
    verified: { label: "real", against: `${name} 1`, live: "not applicable" },
    ownership: {
      place: "own servers",
      setUpHours: [8, 16],
      hoursAMonth: [2, 6],
      dollarsAMonth: [10, 50],
      lockIn: 0,
      wayOut: "anywhere",
      source: "this test",
      asOf: today,
    },
    ...more,
  };
}

const cloud = tool("sagemaker", {
  provider: "aws",
  skills: ["aws"],
  verified: { label: "contract", against: "a description", live: "not yet run against the live service" },
  ownership: { ...(tool("x").ownership as NonNullable<ToolManifest["ownership"]>), place: "cloud", lockIn: 2 },
});
const local = tool("process", {
  provider: "embedded",
  skills: [],
  ownership: {
    ...(tool("x").ownership as NonNullable<ToolManifest["ownership"]>),
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    carries: { trainingHours: 12 },
  },
});
const tools = [local, tool("ray"), tool("kubernetes"), cloud];

const names = ["ray", "kubernetes", "aws", "python"] as const;
const answers: fc.Arbitrary<Answers> = fc
  .record({
    people: fc.array(
      fc.record({
        skills: fc.dictionary(fc.constantFrom(...names), fc.integer({ min: 0, max: 3 })),
        repairs: fc.uniqueArray(fc.constantFrom(...names)),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    hours_a_month: fc.integer({ min: 0, max: 80 }),
    operated: fc.uniqueArray(fc.constantFrom(...names)),
    work: fc.record({
      data_gigabytes: fc.integer({ min: 0, max: 5000 }),
      training_hours: fc.integer({ min: 0, max: 400 }),
      gpus: fc.integer({ min: 0, max: 4 }),
      serving: fc.constantFrom("none", "batch", "online"),
    }),
    bounds: fc.record({
      air_gapped: fc.boolean(),
      lock_in: fc.constantFrom("none", "some", "any"),
      refused: fc.uniqueArray(fc.constantFrom(...names)),
      budget_dollars_a_month: fc.option(fc.integer({ min: 0, max: 2000 }), { nil: undefined }),
    }),
  })
  .map((given) =>
    answersSchema.parse({
      ...given,
      people: given.people.map((person, index) => ({ name: `person ${index}`, ...person })),
    }),
  );

const orderOf = (given: readonly ToolManifest[], said: Answers): string[] =>
  rank(compute, { tools: given, answers: said, today }).ranked.map(({ candidate }) => candidate.name);

describe("rank", () => {
  it("gives a tool no worse a place when somebody knows it better, can repair it, or it was operated", () => {
    fc.assert(
      fc.property(answers, fc.constantFrom("ray", "kubernetes"), fc.constantFrom(1, 2, 3), (said, name, level) => {
        const before = orderOf(tools, said).indexOf(name);
        const [first, ...rest] = said.people as [Answers["people"][number], ...Answers["people"]];
        const abler = { ...first, skills: { ...first.skills, [name]: Math.max(level, first.skills[name] ?? 0) } };
        const better = [
          { ...said, people: [abler, ...rest] },
          { ...said, people: [{ ...first, repairs: [...first.repairs, name] }, ...rest] },
          { ...said, operated: [...said.operated, name] },
        ];
        for (const one of better) expect(orderOf(tools, one).indexOf(name)).toBeLessThanOrEqual(before);
      }),
    );
  });

  it("never ranks what breaks a bound", () => {
    fc.assert(
      fc.property(answers, (said) => {
        const { ranked, excluded } = rank(compute, { tools, answers: said, today });
        const left = ranked.map(({ candidate }) => candidate.name);
        if (said.bounds.air_gapped || said.bounds.lock_in === "none") expect(left).not.toContain("sagemaker");
        for (const refused of said.bounds.refused) expect(left).not.toContain(refused);
        if (said.work.training_hours > 96) expect(left).not.toContain("process");
        if (said.work.gpus > said.machine.gpus) expect(left).not.toContain("process");
        expect([...left, ...excluded.map(({ candidate }) => candidate.name)].sort()).toEqual(
          tools.map((one) => one.tool).sort(),
        );
      }),
    );
  });

  it("keeps the order of the others when a tool is added or taken away", () => {
    fc.assert(
      fc.property(answers, fc.constantFrom(...tools), (said, extra) => {
        const without = tools.filter((one) => one !== extra);
        const all = orderOf(tools, said).filter((name) => name !== extra.tool);
        expect(all).toEqual(orderOf(without, said));
      }),
    );
  });

  it("gives reasons whose points are the score", () => {
    fc.assert(
      fc.property(answers, (said) => {
        for (const { score, reasons } of rank(compute, { tools, answers: said, today }).ranked) {
          expect(reasons.map(({ criterion }) => criterion)).toEqual(criteria);
          for (const { weight, value, points, because } of reasons) {
            expect(points).toBeCloseTo(weight * value, 9);
            expect(value).toBeGreaterThanOrEqual(0);
            expect(value).toBeLessThanOrEqual(1);
            expect(because).not.toBe("");
          }
          expect(reasons.reduce((sum, { points }) => sum + points, 0)).toBeCloseTo(score, 9);
          expect(reasons.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(100, 9);
        }
      }),
    );
  });

  it("ranks a tool that never ran live below its twin that did", () => {
    fc.assert(
      fc.property(answers, (said) => {
        const open: Answers = {
          ...said,
          bounds: { ...said.bounds, air_gapped: false, lock_in: "any", refused: [], budget_dollars_a_month: undefined },
        };
        const proven = { ...cloud, tool: "proven", verified: { ...cloud.verified, live: "yes" as const } };
        const order = orderOf([cloud, proven], open);
        expect(order).toEqual(["proven", "sagemaker"]);
      }),
    );
  });
});

describe("advise", () => {
  const modest = answersSchema.parse({
    people: [{ name: "Ana", skills: { python: 3 } }],
    hours_a_month: 4,
    work: { data_gigabytes: 5, training_hours: 1, serving: "none" },
  });
  const whole = (said: Answers, given = tools) =>
    advise({
      answers: said,
      today,
      tools: [
        ...given,
        ...places
          .filter(
            ({ isAlwaysNeeded, component }) =>
              isAlwaysNeeded && component !== "compute" && component !== "orchestration",
          )
          .map(({ component, milestone }) => ({
            ...local,
            tool: `own ${component}`,
            component: component as ToolManifest["component"],
            milestone,
          })),
      ],
    });

  it("names the one fact that would change the answer", () => {
    const advice = whole(modest).advice.find(({ place }) => place.component === "compute");
    expect(advice?.choice.candidate.name).toBe("process");
    expect(advice?.flip?.sentence).toMatch(/^If .+, it would be (ray|kubernetes|sagemaker)\.$/);
    const changed = { ...modest, work: { ...modest.work, training_hours: 400 } };
    expect(whole(changed).advice.find(({ place }) => place.component === "compute")?.choice.candidate.name).not.toBe(
      "process",
    );
  });

  it("refuses bounds that exclude each other, and names both", () => {
    const said = answersSchema.parse({ ...modest, bounds: { air_gapped: true, providers: ["aws"] } });
    expect(() => whole(said)).toThrowError(
      expect.objectContaining({ code: "INVALID_INPUT", at: "bounds.air_gapped, bounds.providers" }),
    );
  });

  it("says when nothing is left, and what excludes each", () => {
    const said = answersSchema.parse({ ...modest, bounds: { refused: ["process", "ray", "kubernetes", "sagemaker"] } });
    expect(() => whole(said)).toThrowError(
      /Nothing is left for train and tune \(compute\)\. process: process is refused\. ray/,
    );
  });

  it("says of a manifest that is silent, and of figures that are old", () => {
    const silent = { ...tool("silent") };
    delete silent.ownership;
    const old = {
      ...local,
      ownership: { ...(local.ownership as NonNullable<ToolManifest["ownership"]>), asOf: "2024-01-01" },
    };
    const { warnings } = whole(modest, [old, silent]);
    expect(warnings).toContainEqual(
      expect.stringContaining("The manifest of silent (compute) says nothing of owning it"),
    );
    expect(warnings).toContainEqual(expect.stringContaining("The figures of process (compute) are of 2024-01-01"));
  });

  it("tells unknown skills by their place", () => {
    const parsed = answersSchema.safeParse({ ...modest, people: [{ name: "Ana", skills: { kubernetse: 1 } }] });
    expect(JSON.stringify(parsed.error?.issues)).toContain("kubernetse");
  });

  it("leaves a weight out of the ranking beside, and only there", () => {
    const said = answersSchema.parse({ ...modest, work: { ...modest.work, training_hours: 20 } });
    const advice = whole(said).advice.find(({ place }) => place.component === "compute");
    const criteriaOf = (ranking: NonNullable<typeof advice>["ranking"]) =>
      ranking.ranked[0]?.reasons.map(({ criterion }) => criterion);
    expect(criteriaOf((advice as NonNullable<typeof advice>).ranking)).toContain("skills");
    expect(criteriaOf((advice as NonNullable<typeof advice>).withoutSkills)).not.toContain("skills");
  });
});
