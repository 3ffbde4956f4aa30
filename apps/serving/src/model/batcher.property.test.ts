import fc from "fast-check";
import { expect, it } from "vitest";
import { createBatcher } from "./batcher.ts";

const request = fc.record({
  value: fc.integer({ min: 0, max: 1000 }),
  rows: fc.integer({ min: 1, max: 6 }),
  group: fc.constantFrom("a", "b", "c"),
  isBad: fc.boolean(),
  isGone: fc.boolean(),
  /** Turns of the event loop before it comes. */
  later: fc.integer({ min: 0, max: 4 }),
});

it("whatever comes together, each request gets its own answer, a bad one fails alone, and no run is larger than it may be", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { maxLength: 40 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 3 }),
      async (requests, maxBatchRows, maxConcurrentRuns) => {
        let running = 0;
        let runs = 0;
        const batcher = createBatcher<(typeof requests)[number], number>({
          maxBatchRows,
          maxConcurrentRuns,
          maxQueueRequests: 1000,
          async run(inputs, rows) {
            running++;
            runs++;
            expect(running).toBeLessThanOrEqual(maxConcurrentRuns);
            expect(new Set(inputs.map(({ group }) => group)).size).toBe(1);
            expect(rows).toBe(inputs.reduce((sum, input) => sum + input.rows, 0));
            if (inputs.length > 1) expect(rows).toBeLessThanOrEqual(maxBatchRows);
            expect(inputs.some(({ isGone }) => isGone)).toBe(false);
            await new Promise((resolve) => setImmediate(resolve));
            running--;
            if (inputs.some(({ isBad }) => isBad)) throw new Error("bad");
            return inputs.map(({ value }) => value * 2);
          },
        });
        const outcomes = await Promise.allSettled(
          requests.map(async (one) => {
            for (let turn = 0; turn < one.later; turn++) await new Promise((resolve) => setImmediate(resolve));
            const gone = new AbortController();
            if (one.isGone) gone.abort();
            return batcher.run(one, one.rows, { group: one.group, signal: gone.signal });
          }),
        );
        for (const [index, { value, isBad, isGone }] of requests.entries()) {
          const outcome = outcomes[index];
          if (isGone) expect(outcome).toMatchObject({ status: "rejected", reason: { code: "CANCELLED" } });
          else if (isBad) expect(outcome).toMatchObject({ status: "rejected", reason: { message: "bad" } });
          else expect(outcome).toEqual({ status: "fulfilled", value: value * 2 });
        }
        // Halving never costs more than two runs a request.
        expect(runs).toBeLessThanOrEqual(2 * requests.length);
        // A run is over a moment after the last of its requests is told.
        await batcher.close();
        expect([batcher.queueLength(), batcher.inFlight()]).toEqual([0, 0]);
      },
    ),
    { numRuns: 200 },
  );
});
