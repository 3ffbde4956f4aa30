import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GateVerdict } from "@espalier/core";
import { afterAll, expect, test } from "vitest";
import { copyExample } from "../example-project.test-support.ts";

const project = copyExample("flights-typescript", "flights-20k.json");
afterAll(() => {
  project.espalier("deploy", "flights-typescript", "--delete");
  project.close();
});

test("the whole loop runs in TypeScript; again it is all cached, and the deployment unchanged", () => {
  const first = project.run("train");
  expect(first.counts).toEqual({ succeeded: 9 });
  expect(project.value(first, "clean", "report")).toEqual({ rows: 20_000, removed: 0, reasons: {} });
  const verdict = project.value(first, "gate", "verdict") as GateVerdict;
  expect(verdict).toMatchObject({ outcome: "passed", comparedWith: "baseline" });
  // The graph was written by hand: wrong weights or a wrong bias would be seen in the calibration.
  expect(verdict.candidate.metrics).toMatchObject({ auc: expect.closeTo(0.637, 2) });
  expect(verdict.candidate.metrics.calibration_error).toBeLessThan(0.02);

  const body = JSON.stringify({
    dataframe_records: [8, 18].map((hours) => ({
      hours_since_four: hours,
      weekend: 0,
      distance: 900,
      origin_rate: 0.25,
      destination_rate: 0.2,
      hour_rate: 0.2 + hours / 100,
    })),
  });
  const { predictions } = JSON.parse(project.espalier("predict", "flights-typescript", "-d", body).out);
  expect(predictions[1]).toBeGreaterThan(predictions[0]);

  const second = project.run("train");
  expect(second.counts).toEqual({ cached: 8, unchanged: 1 });
});

test("rows that can not be true are told, and too many of them end the run", () => {
  const path = join(project.folder, "data/flights-20k.json");
  const flights: Record<string, unknown>[] = JSON.parse(readFileSync(path, "utf8"));
  const spoilt = flights.map((flight, index) => (index % 50 === 0 ? { ...flight, delay: -1116 } : flight));
  writeFileSync(path, JSON.stringify(spoilt));
  const { code, err } = project.espalier("run", "train");
  expect(code).toBe(1);
  expect(err).toContain('400 of 20000 flights can not be true: {"an hour early or a day late":400}');
});
