import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Evidence, type EvidenceKind, evidenceKinds, type Proof } from "./evidence.ts";
import { maturityOf } from "./maturity.ts";
import { maturityModels } from "./models.ts";

const proof = (index: number): Proof => ({ id: `run:${index}`, at: index, what: "a run" });
const evidenceOf = (counts: Partial<Record<EvidenceKind, number>>): Evidence =>
  Object.fromEntries(
    evidenceKinds.map((kind) => [kind, Array.from({ length: counts[kind] ?? 0 }, (_, index) => proof(index))]),
  ) as unknown as Evidence;
const counts = fc.record(
  Object.fromEntries(evidenceKinds.map((kind) => [kind, fc.integer({ min: 0, max: 3 })])) as Record<
    EvidenceKind,
    fc.Arbitrary<number>
  >,
);
const levelsOf = (evidence: Evidence): number[] => maturityOf(evidence).map(({ level }) => level);

describe("maturityOf", () => {
  it("is at the lowest levels without evidence, and at the highest with all of it", () => {
    expect(levelsOf(evidenceOf({}))).toEqual([0, 0]);
    const all = maturityOf(evidenceOf(Object.fromEntries(evidenceKinds.map((kind) => [kind, 2]))));
    expect(all.map(({ level, missing }) => [level, missing])).toEqual([
      [2, []],
      [4, []],
    ]);
  });

  it("is kept down by a gap below, and names it with the next step", () => {
    const everything = Object.fromEntries(evidenceKinds.map((kind) => [kind, 5]));
    const [google, microsoft] = maturityOf(evidenceOf({ ...everything, continuousIntegrationRuns: 0 }));
    expect(google).toMatchObject({ level: 1, missing: [{ provenBy: "continuousIntegrationRuns" }] });
    expect(microsoft).toMatchObject({ level: 0, missing: [{ next: expect.stringContaining("espalier ci init") }] });
    expect(microsoft?.levels.filter(({ isMet }) => isMet).map(({ level }) => level)).toEqual([0, 2, 3, 4]);
  });

  it("never falls when something more is proven", () => {
    fc.assert(
      fc.property(counts, fc.constantFrom(...evidenceKinds), (given, kind) => {
        const before = levelsOf(evidenceOf(given));
        const after = levelsOf(evidenceOf({ ...given, [kind]: given[kind] + 1 }));
        for (const [index, level] of after.entries()) expect(level).toBeGreaterThanOrEqual(before[index] ?? 0);
      }),
    );
  });

  it("asks for every kind of evidence somewhere", () => {
    const asked = maturityModels.flatMap(({ levels }) =>
      levels.flatMap(({ criteria }) => criteria.map((one) => one.provenBy)),
    );
    expect([...new Set(asked)].sort()).toEqual([...evidenceKinds].sort());
  });
});
