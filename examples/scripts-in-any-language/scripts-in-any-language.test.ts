import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GateVerdict } from "@espalier/core";
import { afterAll, expect, test } from "vitest";
import { copyExample } from "../example-project.test-support.ts";

const project = copyExample("scripts-in-any-language", "flights-10k.json");
afterAll(() => project.close());

/** The sample is clean; every hundredth flight is spoilt in one of the ways that the rules know. */
function spoilData(): void {
  const path = join(project.folder, "data/flights-10k.json");
  const flights: Record<string, unknown>[] = JSON.parse(readFileSync(path, "utf8"));
  const dirt = [{ delay: -1116 }, { distance: 0 }, { origin: "LAS", destination: "LAS" }];
  const spoilt = flights.map((flight, index) =>
    index % 100 === 0 ? { ...flight, ...dirt[(index / 100) % dirt.length] } : flight,
  );
  writeFileSync(path, JSON.stringify(spoilt));
}

interface Report {
  rows: number;
  quarantined: number;
  results: { rule: string; failed: number }[];
  metrics: Record<string, number>;
}

test("scripts and built-in steps agree: on rows, on bytes, on metrics, on the verdict; and again all is cached", () => {
  spoilData();
  const scripts = project.run("scripts");
  expect(scripts.counts).toEqual({ succeeded: 8 });
  // Nobody else has judged this model yet, and `gate: none` is on record.
  const { out } = project.espalier("model", "show", "flights-scripts", "--json");
  expect(JSON.parse(out)).toMatchObject({ versions: [{ version: 1, gate: "none" }] });

  const builtin = project.run("builtin");
  // The features are the same bytes, so the same training is not done twice.
  expect(builtin.counts).toEqual({ cached: 1, succeeded: 7 });
  const digests = (detail: typeof builtin, step: string) =>
    Object.values(detail.steps.find((one) => one.step === step)?.outputs ?? {}).map(({ digest }) => digest);
  expect(digests(builtin, "features")).toEqual(digests(scripts, "features"));

  const [byRule, byScript] = [builtin, scripts].map((detail) => project.value(detail, "validate", "report") as Report);
  expect(byScript).toMatchObject({ rows: 10_000, quarantined: 100 });
  expect(byRule).toMatchObject({ rows: 10_000, quarantined: 100 });
  for (const { rule, failed } of byScript?.results ?? []) {
    expect(failed).toBeGreaterThan(0);
    expect(byRule?.results.find((result) => result.rule === rule)).toMatchObject({ failed });
  }

  const measured = project.value(builtin, "evaluate", "report") as Report;
  const measuredByScript = project.value(scripts, "evaluate", "report") as Report;
  expect(measuredByScript.rows).toBe(measured.rows);
  for (const [name, value] of Object.entries(measuredByScript.metrics)) {
    expect(value, name).toBeCloseTo(measured.metrics[name] ?? Number.NaN, 10);
  }

  const verdict = project.value(builtin, "gate", "verdict") as GateVerdict;
  const own = project.value(scripts, "gate", "verdict") as { allowed: boolean; auc: number; lower: number };
  expect([verdict.allowed, own.allowed]).toEqual([true, true]);
  expect(own.auc).toBeCloseTo(verdict.candidate.metrics.auc ?? Number.NaN, 10);
  // Two random generators: the intervals agree, their digits do not.
  expect(own.lower - 0.5).toBeCloseTo(verdict.difference?.lower ?? Number.NaN, 2);

  for (const pipeline of ["builtin", "scripts"]) expect(project.run(pipeline).counts).toEqual({ cached: 8 });
});

test("the built-in gate judges the metrics of a script, and register takes what it let through", () => {
  const mixed = project.run("mixed");
  const verdict = project.value(mixed, "gate", "verdict") as GateVerdict;
  expect(verdict).toMatchObject({ outcome: "passed", comparedWith: "nothing" });
  expect(verdict.candidate.metrics.auc).toBeGreaterThan(0.55);
  expect(project.run("mixed").counts).toEqual({ cached: 6 });
});

test("a stricter policy is refused by both gates, and nothing after them runs", () => {
  const path = join(project.folder, "gates/flights.json");
  const policy = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...policy, no_champion: { rule: "baseline", by: 0.3 } }));
  const builtin = project.espalier("run", "builtin");
  expect(builtin.code).toBe(1);
  expect(builtin.err).toContain("GATE_REFUSED");
  const scripts = project.espalier("run", "scripts");
  expect(scripts.code).toBe(1);
  expect(scripts.err).toContain("gate: refused: auc 0.6");
  for (const { out } of [builtin, scripts]) expect(out).toMatch(/register +skipped/);
});
