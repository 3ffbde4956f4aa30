import { describe, expect, it } from "vitest";
import { type BatcherOptions, createBatcher } from "./batcher.ts";

/** A run that doubles its inputs, refuses -1, and waits where a gate is shut. */
function subject(options: Partial<BatcherOptions<number, number>> = {}) {
  const runs: number[][] = [];
  let gate = Promise.resolve();
  let open: () => void = () => undefined;
  const batcher = createBatcher<number, number>({
    maxBatchRows: 64,
    maxQueueRequests: 1000,
    async run(inputs) {
      runs.push([...inputs]);
      await gate;
      if (inputs.includes(-1)) throw new Error("-1 is refused");
      return inputs.map((input) => 2 * input);
    },
    ...options,
  });
  return {
    batcher,
    runs,
    shut() {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    open: () => open(),
    /** Until so many runs have begun. */
    async begun(count: number) {
      while (runs.length < count) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const codeOf = (outcome: PromiseSettledResult<unknown>): unknown =>
  outcome.status === "fulfilled" ? outcome.value : (outcome.reason.code ?? outcome.reason.message);

describe("batcher", () => {
  it("shares a run among what waits, up to the rows of a run; what is larger runs alone", async () => {
    const { batcher, runs } = subject({ maxBatchRows: 4 });
    const answers = await Promise.all([1, 2, 3, 4, 5].map((input) => batcher.run(input, input === 4 ? 9 : 2)));
    expect(answers).toEqual([2, 4, 6, 8, 10]);
    expect(runs).toEqual([[1, 2], [3], [4], [5]]);
  });

  it("never lets requests of two groups share a run, and serves groups in turn", async () => {
    const { batcher, runs } = subject({ maxBatchRows: 2 });
    const ask = (input: number, group: string) => batcher.run(input, 1, { group });
    await Promise.all([ask(1, "a"), ask(2, "a"), ask(3, "a"), ask(11, "b"), ask(12, "b"), ask(4, "a")]);
    expect(runs).toEqual([
      [1, 2],
      [11, 12],
      [3, 4],
    ]);
  });

  it("one bad row among many fails alone, at the cost of two runs a halving", async () => {
    const { batcher, runs } = subject();
    const inputs = Array.from({ length: 64 }, (_, index) => (index === 37 ? -1 : index));
    const outcomes = await Promise.allSettled(inputs.map((input) => batcher.run(input, 1)));
    expect(outcomes.map(codeOf)).toEqual(inputs.map((input) => (input === -1 ? "-1 is refused" : 2 * input)));
    expect(runs.length).toBe(1 + 2 * Math.log2(64));
  });

  it("a fault that is not the rows' is told to all and not repeated", async () => {
    let runs = 0;
    const { batcher } = subject({
      run() {
        runs++;
        return Promise.reject(Object.assign(new Error("away"), { code: "UNAVAILABLE" }));
      },
    });
    const outcomes = await Promise.allSettled([1, 2, 3].map((input) => batcher.run(input, 1)));
    expect(outcomes.map(codeOf)).toEqual(["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"]);
    expect(runs).toBe(1);
  });

  it("refuses what the queue does not hold, and what is above the limit of requests", async () => {
    const { batcher, shut, open, begun } = subject({ maxQueueRequests: 2, maxBatchRows: 1 });
    shut();
    const first = batcher.run(1, 1);
    await begun(1);
    const others = [2, 3, 4].map((input) => batcher.run(input, 1));
    await expect(others[2]).rejects.toMatchObject({ code: "RATE_LIMITED", retryable: true });
    expect([batcher.queueLength(), batcher.inFlight()]).toEqual([2, 3]);
    expect(batcher.queueAgeMilliseconds()).toBeGreaterThan(0);
    open();
    expect(await Promise.all([first, others[0], others[1]])).toEqual([2, 4, 6]);
    expect([batcher.queueLength(), batcher.inFlight(), batcher.queueAgeMilliseconds()]).toEqual([0, 0, 0]);

    const limited = subject({ maxConcurrentRequests: 2 });
    const outcomes = await Promise.allSettled([1, 2, 3].map((input) => limited.batcher.run(input, 1)));
    expect(outcomes.map(codeOf)).toEqual([2, 4, "RATE_LIMITED"]);
    expect(await limited.batcher.run(5, 1)).toBe(10);
  });

  it("a deadline that passes in the queue is told while the run before it goes on; who has gone costs no run", async () => {
    const { batcher, runs, shut, open, begun } = subject({ maxBatchRows: 1 });
    shut();
    const first = batcher.run(1, 1);
    await begun(1);
    const gone = new AbortController();
    const late = batcher.run(2, 1, { deadline: Date.now() + 20 });
    const left = batcher.run(3, 1, { signal: gone.signal });
    const patient = batcher.run(4, 1, { deadline: Date.now() + 60_000 });
    left.catch(() => undefined);
    await expect(late).rejects.toMatchObject({ code: "TIMEOUT", details: { reason: "REJECTED" } });
    expect(runs).toEqual([[1]]);
    gone.abort();
    open();
    await expect(left).rejects.toMatchObject({ code: "CANCELLED" });
    expect(await Promise.all([first, patient])).toEqual([2, 8]);
    expect(runs).toEqual([[1], [4]]);
  });

  it("those that nobody waits for make room in a full queue", async () => {
    const { batcher, shut, open, begun } = subject({ maxQueueRequests: 1, maxBatchRows: 1 });
    shut();
    const first = batcher.run(1, 1);
    await begun(1);
    const gone = new AbortController();
    const left = batcher.run(2, 1, { signal: gone.signal });
    gone.abort();
    const next = batcher.run(3, 1);
    await expect(left).rejects.toMatchObject({ code: "CANCELLED" });
    open();
    expect(await Promise.all([first, next])).toEqual([2, 6]);
  });

  it("runs as many batches at a time as it is told to", async () => {
    const { batcher, runs, shut, open, begun } = subject({ maxConcurrentRuns: 2, maxBatchRows: 1 });
    shut();
    const all = [1, 2, 3].map((input) => batcher.run(input, 1));
    await begun(2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(runs).toEqual([[1], [2]]);
    open();
    expect(await Promise.all(all)).toEqual([2, 4, 6]);
  });

  it("waits for company only when told to, and no longer than until the run is full", async () => {
    const { batcher, runs } = subject({ maxDelayMilliseconds: 60_000, maxBatchRows: 3 });
    const first = batcher.run(1, 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(runs).toEqual([]);
    const others = [2, 3].map((input) => batcher.run(input, 1));
    expect(await Promise.all([first, ...others])).toEqual([2, 4, 6]);
    expect(runs).toEqual([[1, 2, 3]]);
    const short = subject({ maxDelayMilliseconds: 5, maxBatchRows: 3 });
    expect(await short.batcher.run(1, 1)).toBe(2);
  });

  it("tells when a request waited and ran, and reports each run", async () => {
    const reports: unknown[] = [];
    const { batcher } = subject({ onRun: ({ rows, requests, failed }) => reports.push([rows, requests, failed]) });
    const timing: { queuedAt?: number; startedAt?: number; endedAt?: number } = {};
    await Promise.allSettled([batcher.run(1, 2, { timing }), batcher.run(-1, 1)]);
    expect(reports).toEqual([
      [3, 2, true],
      [2, 1, false],
      [1, 1, true],
    ]);
    const { queuedAt = 0, startedAt = 0, endedAt = 0 } = timing;
    expect(queuedAt > 0 && startedAt >= queuedAt && endedAt >= startedAt).toBe(true);
  });

  it("closes after what it has taken, and takes no more", async () => {
    const { batcher, shut, open, begun } = subject({ maxBatchRows: 1, maxDelayMilliseconds: 60_000 });
    shut();
    const taken = [1, 2].map((input) => batcher.run(input, 1));
    await begun(1);
    const closed = batcher.close();
    await expect(batcher.run(3, 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    open();
    await closed;
    expect(await Promise.all(taken)).toEqual([2, 4]);
    await batcher.close();
  });
});
