import type { MetricSample, MetricsSink } from "@espalier/core";
import { caseRunner, type Skips, type TestRunner } from "./suite.ts";

export interface MetricsSinkSubject {
  open(): Promise<{ sink: MetricsSink; close(): Promise<void> }>;
  skips?: Skips;
}

const day = 24 * 60 * 60 * 1000;
/** Noon, so that hours around it are on the same day. */
const noon = Date.UTC(2026, 2, 1, 12);

const sample = (timestamp: number, value: number, labels: Record<string, string> = {}): MetricSample => ({
  name: "espalier_requests_total",
  labels,
  value,
  timestamp,
});

/** Every metrics sink passes this; one without `query` shows only that it takes samples. */
export function metricsSinkConformance(runner: TestRunner, subject: MetricsSinkSubject): void {
  const { expect } = runner;
  const { it, finish } = caseRunner(runner, subject.skips);
  const withSink = (name: string, body: (sink: MetricsSink) => Promise<void>): void =>
    it(name, async () => {
      const { sink, close } = await subject.open();
      try {
        await body(sink);
      } finally {
        await close();
      }
    });
  const values = async (
    sink: MetricsSink,
    labels: Record<string, string>,
    from: number,
    to: number,
  ): Promise<number[]> =>
    (await (sink.query?.("espalier_requests_total", labels, from, to) ?? [])).map((found) => found.value);

  runner.describe("metrics sink conformance", () => {
    withSink("takes samples, also none", async (sink) => {
      await sink.write([]);
      await sink.write([sample(noon, 1)]);
    });
    withSink("finds by name, labels and time, over days, in order of time", async (sink) => {
      if (!sink.query) return expect(sink.query).toBeUndefined();
      await sink.write([sample(noon + day, 3, { endpoint: "a" }), sample(noon, 1, { endpoint: "a", version: "1" })]);
      await sink.write([sample(noon + 1, 2, { endpoint: "b" }), { ...sample(noon, 9), name: "other_total" }]);
      expect(await values(sink, {}, noon, noon + 2 * day)).toEqual([1, 2, 3]);
      expect(await values(sink, { endpoint: "a" }, noon, noon + 2 * day)).toEqual([1, 3]);
      expect(await values(sink, { endpoint: "a", version: "1" }, noon, noon + 2 * day)).toEqual([1]);
      expect(await values(sink, {}, noon + 1, noon + day)).toEqual([2]);
      expect(await values(sink, {}, noon - 2 * day, noon)).toEqual([]);
    });
    withSink("counts a sample that is written twice once", async (sink) => {
      if (!sink.query) return expect(sink.query).toBeUndefined();
      await sink.write([sample(noon, 1), sample(noon, 1)]);
      await sink.write([sample(noon, 1)]);
      expect(await values(sink, {}, noon, noon + 1)).toEqual([1]);
    });
    withSink("keeps values that JSON can not hold", async (sink) => {
      if (!sink.query) return expect(sink.query).toBeUndefined();
      await sink.write([sample(noon, Number.NaN), sample(noon + 1, Number.POSITIVE_INFINITY)]);
      expect(await values(sink, {}, noon, noon + 2)).toEqual([Number.NaN, Number.POSITIVE_INFINITY]);
    });
    finish();
  });
}
