import { describe, expect, it } from "vitest";
import { hellinger, jensenShannon, kullbackLeibler, populationStabilityIndex, totalVariation } from "./distances.ts";
import { energyDistance, evidentlyCounts, evidentlyDrift } from "./samples.ts";
import { chiSquare, kolmogorovSmirnov, kolmogorovTail, proportionTest } from "./tests.ts";

/** Reference values: scipy 1.17.1 and numpy 2.4.6 on the formulas of Evidently a4aa4c2. */
const reference = Float64Array.from({ length: 2000 }, (_, i) => ((i * 7919) % 10007) / 10007);
const current = Float64Array.from({ length: 1500 }, (_, i) => (((i * 104729) % 10009) / 10009) ** 2);

describe("numeric goldens", () => {
  it("bins as numpy's Sturges rule over both samples", () => {
    expect(evidentlyCounts(reference, current).reference).toHaveLength(13);
  });
  it("gives Evidently's distances", () => {
    const drift = evidentlyDrift(reference, current);
    expect(drift.psi).toBeCloseTo(0.3935623068592119, 12);
    expect(drift.kullbackLeibler).toBeCloseTo(0.1756496078296534, 12);
    expect(drift.jensenShannon).toBeCloseTo(0.21681411840575315, 12);
    expect(drift.hellinger).toBeCloseTo(0.21923215484811856, 12);
    expect(drift.wasserstein).toBeCloseTo(0.5745205452897013, 12);
    expect(energyDistance(reference, current)).toBeCloseTo(0.2571442035334492, 12);
  });
  it("gives scipy's exact Kolmogorov-Smirnov test", () => {
    expect(kolmogorovSmirnov(reference, current).statistic).toBeCloseTo(0.2515, 12);
    const small = kolmogorovSmirnov(reference.subarray(0, 300), current.subarray(0, 200));
    expect(small.statistic).toBeCloseTo(0.26666666666666666, 14);
    expect(small.pValue / 5.7286827398050775e-8).toBeCloseTo(1, 9);
  });
  it("agrees with the exact tail where samples are large", () => {
    const exact = kolmogorovSmirnov(
      reference,
      reference.map((value) => value + 0.04),
    ).pValue;
    expect(
      kolmogorovTail(
        kolmogorovSmirnov(
          reference,
          reference.map((value) => value + 0.04),
        ).statistic,
        1000,
      ) / exact,
    ).toBeCloseTo(1, 1);
  });
});

describe("categorical goldens", () => {
  const r = [500, 300, 150, 50, 0];
  const c = [400, 350, 150, 60, 40];
  it("gives Evidently's distances", () => {
    expect(populationStabilityIndex(r, c)).toBeCloseTo(0.2709045401203319, 12);
    expect(kullbackLeibler(r, c)).toBeCloseTo(0.05550579183550195, 12);
    expect(jensenShannon(r, c)).toBeCloseTo(0.1335535143110448, 12);
    expect(hellinger(r, c)).toBeCloseTo(0.15484545143184697, 12);
    expect(totalVariation(r, c)).toBeCloseTo(0.1, 12);
  });
  it("gives scipy's tests", () => {
    const chi = chiSquare([500, 300, 200], [260, 160, 80]);
    expect(chi.statistic).toBeCloseTo(5.0666667, 6);
    expect(chi.pValue).toBeCloseTo(0.07939393227707821, 12);
    expect(chiSquare(r, c).pValue).toBe(0);
    const z = proportionTest({ hits: 300, rows: 1000 }, { hits: 340, rows: 1000 });
    expect(z.pValue).toBeCloseTo(0.05518555099113365, 12);
  });
});
