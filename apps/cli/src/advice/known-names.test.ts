import { type Answers, advise, answersSchema } from "@espalier/core";
import { toolManifests } from "@espalier/host";
import { describe, expect, test } from "vitest";

const today = "2026-11-27";
const tools = toolManifests.map(({ manifest }) => manifest);

describe("names and bounds that are given", () => {
  const base = answersSchema.parse({
    people: [{ name: "Ada", skills: { python: 3 } }],
    hours_a_month: 20,
    work: { data_gigabytes: 50, training_hours: 3, serving: "none" },
  });
  const ask = (part: Partial<Answers>) => advise({ tools, answers: { ...base, ...part }, today });

  test("a slip in a name is refused with what was meant; a name of the team's own is minded", () => {
    const slips = { operated: ["kubernets"], bounds: { ...base.bounds, refused: ["linx"] } };
    expect(() => ask(slips)).toThrow(
      expect.objectContaining({
        code: "INVALID_INPUT",
        at: "operated[0], bounds.refused[0]",
        hint: expect.stringContaining("kubernetes"),
      }),
    );
    expect(ask({ operated: ["our-own-scheduler"] }).warnings.join()).toMatch(
      /our-own-scheduler: it counts for nothing/,
    );
  });

  test("a bound excludes what runs already as well", () => {
    const running = [
      {
        milestone: 5,
        tool: "sagemaker",
        provider: "aws" as const,
        satisfied: "yes" as const,
        months: 9,
        hours_a_month: 1,
        dollars_a_month: 9,
        console: false,
      },
    ];
    const advice = ask({ running, bounds: { ...base.bounds, providers: ["google"] } });
    const compute = advice.advice.find(({ place }) => place.component === "compute");
    expect(compute?.ranking.ranked.map(({ candidate }) => candidate.name)).not.toContain("sagemaker");
    expect(compute?.ranking.excluded.map(({ candidate }) => candidate.name)).toContain("sagemaker");
    expect(() => ask({ bounds: { ...base.bounds, providers: ["aws"], refused: ["aws"] } })).toThrow(
      /aws is refused, and among/,
    );
    const [{ provider: _, ...unnamed }] = running as [(typeof running)[0]];
    const minded = ask({ running: [unnamed], bounds: { ...base.bounds, air_gapped: true } });
    expect(minded.warnings.join()).toMatch(/sagemaker keeps your bounds can not be told.*running\[0\].provider/);
  });

  test("residency in a region, a tool at another milestone and one that is nearly ours are minded", () => {
    const one = { satisfied: "yes" as const, months: 9, hours_a_month: 1, dollars_a_month: 0, console: false };
    const running = [
      { ...one, milestone: 6, tool: "kubernetes" },
      { ...one, milestone: 6, tool: "mlfow" },
    ];
    const told = ask({ running, bounds: { ...base.bounds, residency: "eu" } }).warnings.join();
    expect(told).toMatch(/region.* eu .*bounds\.residency/);
    expect(told).toMatch(/kubernetes is a tool of milestone .*running\[0\]/);
    expect(told).toMatch(/mlfow \(running\[1\]\); if mlflow is meant/);
  });
});
