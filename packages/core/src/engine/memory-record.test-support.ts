import { EspalierError } from "../errors.ts";
import type { AttemptRow, EngineRecord, RunRow, StepRow, Transition } from "../record/engine-record.ts";
import { terminalRunStates } from "../record/states.ts";

export interface MemoryRecord extends EngineRecord {
  /** As if the process that held all leases had died. */
  dropLeases(): void;
  events: { attemptId: string; text: string }[];
}

/** The engine's view of the record in memory: the rules of transitions and leases, and nothing else. */
export function createMemoryRecord(now: () => number): MemoryRecord {
  const runs = new Map<string, RunRow>();
  const leased = new Set<string>();
  const steps = new Map<string, StepRow>();
  const attempts = new Map<string, AttemptRow>();
  const claims = new Map<string, string>();
  const offsets = new Map<string, number>();
  const events: { attemptId: string; text: string }[] = [];
  const keyOf = (row: Pick<StepRow, "runId" | "step" | "branch">): string => `${row.runId}/${row.step}/${row.branch}`;

  function move<Row extends { state: State }, State extends string>(
    row: Row | undefined,
    epoch: number,
    runId: string,
    { from, to }: Transition<State>,
    patch: Partial<Row>,
  ): Row {
    if (runs.get(runId)?.leaseEpoch !== epoch) throw new EspalierError("CONFLICT", "The lease has moved on");
    if (!row || !from.includes(row.state)) throw new EspalierError("CONFLICT", `${row?.state} is not in ${from}`);
    return { ...row, ...patch, state: to };
  }

  const record: MemoryRecord = {
    events,
    dropLeases: () => leased.clear(),
    async createRun(run) {
      const known = runs.get(run.id);
      if (known) return known;
      const row: RunRow = { ...run, state: "queued", leaseEpoch: 0, createdAt: now(), cancelRequested: false };
      runs.set(run.id, row);
      for (const step of Object.keys(run.pipeline.steps)) {
        steps.set(`${run.id}/${step}/-1`, { runId: run.id, step, branch: -1, state: "pending" });
      }
      return row;
    },
    run: async (id) => runs.get(id),
    steps: async (id) => [...steps.values()].filter((row) => row.runId === id),
    attempts: async (id) => [...attempts.values()].filter((row) => row.runId === id),
    async claimRuns() {
      const claimed: RunRow[] = [];
      for (const run of runs.values()) {
        if (leased.has(run.id) || terminalRunStates.includes(run.state)) continue;
        const taken = { ...run, leaseEpoch: run.leaseEpoch + 1 };
        runs.set(run.id, taken);
        leased.add(run.id);
        claimed.push(taken);
      }
      return claimed;
    },
    renewLeases: async (leases) =>
      leases.flatMap((lease) => {
        const run = runs.get(lease.runId);
        return run?.leaseEpoch === lease.epoch ? [{ ...lease, cancelRequested: run.cancelRequested }] : [];
      }),
    async requestCancel(id) {
      const run = runs.get(id);
      if (run) runs.set(id, { ...run, cancelRequested: true });
    },
    async moveRun(id, epoch, transition, patch = {}) {
      runs.set(id, move(runs.get(id), epoch, id, transition, patch as Partial<RunRow>));
    },
    async moveStep(row, epoch, transition, patch = {}) {
      steps.set(keyOf(row), move(steps.get(keyOf(row)), epoch, row.runId, transition, patch as Partial<StepRow>));
    },
    async createBranches(runId, _epoch, step, items, first = 0) {
      for (const [index, item] of items.entries()) {
        const branch = first + index;
        const key = `${runId}/${step}/${branch}`;
        if (!steps.has(key)) steps.set(key, { runId, step, branch, item, state: "pending" });
      }
    },
    async createAttempt(_epoch, attempt) {
      if (!attempts.has(attempt.id)) attempts.set(attempt.id, { ...attempt, state: "created", createdAt: now() });
    },
    async claimAttempt(id, claimant) {
      if (!claims.has(id)) claims.set(id, claimant);
      return claims.get(id) === claimant;
    },
    async moveAttempt(id, epoch, transition, patch = {}, step) {
      const attempt = attempts.get(id);
      const runId = attempt?.runId ?? "";
      const moved = move(attempt, epoch, runId, transition, patch as Partial<AttemptRow>);
      if (step) {
        const row = steps.get(keyOf(moved));
        steps.set(keyOf(moved), move(row, epoch, runId, step.transition, step.patch as Partial<StepRow>));
      }
      attempts.set(id, moved);
    },
    async findCached(key) {
      for (const attempt of [...attempts.values()].reverse()) {
        const row = steps.get(keyOf(attempt));
        if (attempt.state !== "succeeded" || row?.cacheKey !== key) continue;
        return { attemptId: attempt.id, runId: row.runId, outputs: row.outputs ?? {}, values: row.values ?? {} };
      }
      return undefined;
    },
    async earlierSteps(pipeline, step, limit) {
      const rows = [...steps.values()].reverse().filter((row) => row.step === step);
      return rows.filter((row) => runs.get(row.runId)?.pipeline.name === pipeline).slice(0, limit);
    },
    async appendStepEvents(attemptId, added, fromOffset, toOffset) {
      if (fromOffset < (offsets.get(attemptId) ?? 0)) return;
      offsets.set(attemptId, toOffset);
      for (const event of added) events.push({ attemptId, text: JSON.stringify(event) });
    },
    latestMetric: async (ids, key) =>
      new Map(
        events.flatMap(({ attemptId, text }): [string, number][] => {
          const event = JSON.parse(text) as { key?: string; value?: number };
          return ids.includes(attemptId) && event.key === key ? [[attemptId, Number(event.value)]] : [];
        }),
      ),
    metricAtStep: async (ids, key, at) => {
      const found = new Map<string, number>();
      for (const { attemptId, text } of events) {
        const event = JSON.parse(text) as { key?: string; value?: number; step?: number };
        if (!ids.includes(attemptId) || event.key !== key || (event.step ?? 0) < at || found.has(attemptId)) continue;
        found.set(attemptId, Number(event.value));
      }
      return found;
    },
    eventOffset: async (attemptId) => offsets.get(attemptId) ?? 0,
  };
  return record;
}
