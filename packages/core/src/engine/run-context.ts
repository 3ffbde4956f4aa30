import { EspalierError } from "../errors.ts";
import type { PipelineIr, StepIr } from "../ir/pipeline.ts";
import type { RunScope } from "../ir/run-scope.ts";
import type { AttemptRow, RunRow, StepRow } from "../record/engine-record.ts";
import { leasedWrites } from "./let-go.ts";
import type { EngineOptions } from "./options.ts";
import type { Slots } from "./slots.ts";

type StepPatch = Parameters<EngineOptions["record"]["moveStep"]>[3];

/** What all parts of one run's driver share. Rows are this process's view; the record is the truth, and every change goes there first. */
export class RunContext {
  readonly options: EngineOptions;
  readonly run: RunRow;
  readonly writes: ReturnType<typeof leasedWrites>;
  readonly scope: RunScope;
  readonly slotsOf: (compute: string) => Slots;
  /** Aborted when the lease is lost or the engine stops: drop everything, touch nothing. */
  readonly letGo: AbortController;
  /** Aborted when somebody cancels the run: stop the steps and write it down. */
  readonly cancel = new AbortController();
  /** Rows of the run that this one continues, by step and branch. */
  readonly earlier: ReadonlyMap<string, StepRow>;
  /** The first of the runs that were resumed one after another up to this one. */
  readonly rootRunId: string;
  readonly #stops = new Map<string, { prune: AbortController; signal: AbortSignal }>();
  readonly #rows: Map<string, StepRow>;
  readonly #attempts = new Map<string, AttemptRow[]>();
  #earlierAttempts: Promise<ReadonlyMap<string, string>> | undefined;
  #poke = Promise.withResolvers<void>();

  constructor(
    options: EngineOptions,
    run: RunRow,
    scope: RunScope,
    letGo: AbortController,
    slotsOf: (compute: string) => Slots,
    stored: {
      steps: readonly StepRow[];
      attempts: readonly AttemptRow[];
      earlier: readonly StepRow[];
      rootRunId: string;
    },
  ) {
    this.rootRunId = stored.rootRunId;
    this.options = options;
    this.run = run;
    this.scope = scope;
    this.letGo = letGo;
    this.slotsOf = slotsOf;
    this.writes = leasedWrites(options.record, letGo);
    this.#rows = new Map(stored.steps.map((row) => [rowKey(row.step, row.branch), row]));
    this.earlier = new Map(stored.earlier.map((row) => [rowKey(row.step, row.branch), row]));
    for (const attempt of [...stored.attempts].sort((a, b) => a.number - b.number)) {
      const key = rowKey(attempt.step, attempt.branch);
      this.#attempts.set(key, [...(this.#attempts.get(key) ?? []), attempt]);
    }
  }

  get pipeline(): PipelineIr {
    return this.run.pipeline;
  }

  /** Defaults of the pipeline under what the run was started with. */
  get params(): RunRow["params"] {
    return { ...this.pipeline.params, ...this.run.params };
  }

  step(name: string): StepIr {
    const step = this.pipeline.steps[name];
    if (!step) throw new EspalierError("INTERNAL", `The pipeline has no step ${name}`);
    return step;
  }

  row(step: string, branch = -1): StepRow {
    return this.#rows.get(rowKey(step, branch)) ?? { runId: this.run.id, step, branch, state: "pending" };
  }

  /** Branches of a mapped or tuned step that were begun. */
  branches(step: string): StepRow[] {
    return [...this.#rows.values()].filter((row) => row.step === step && row.branch >= 0);
  }

  attempts(step: string, branch: number): readonly AttemptRow[] {
    return this.#attempts.get(rowKey(step, branch)) ?? [];
  }

  /** Aborted when this step or branch is to be stopped: with the run, or as a loser of its search. */
  stopSignal({ step, branch }: Pick<StepRow, "step" | "branch">): AbortSignal {
    if (branch < 0 || this.step(step).tune?.stop_early === undefined) return this.cancel.signal;
    const key = rowKey(step, branch);
    let stop = this.#stops.get(key);
    if (stop === undefined) {
      const prune = new AbortController();
      stop = { prune, signal: AbortSignal.any([this.cancel.signal, prune.signal]) };
      this.#stops.set(key, stop);
    }
    return stop.signal;
  }

  /** Stops one trial and no other. */
  prune(row: Pick<StepRow, "step" | "branch">, reason: string): void {
    this.stopSignal(row);
    this.#stops.get(rowKey(row.step, row.branch))?.prune.abort(new Error(reason));
  }

  /** How a step or branch that was asked to stop ends; undefined: nobody asked. */
  stopped(row: Pick<StepRow, "step" | "branch">): { state: "cancelled" | "pruned"; reason?: string } | undefined {
    if (this.cancel.signal.aborted) return { state: "cancelled" };
    const prune = this.#stops.get(rowKey(row.step, row.branch))?.prune.signal;
    return prune?.aborted ? { state: "pruned", reason: (prune.reason as Error).message } : undefined;
  }

  /** The succeeded or pruned attempt of each step of the run that this one continues. Read once: a map has thousands of branches. */
  earlierAttempts(): Promise<ReadonlyMap<string, string>> {
    const { resumes } = this.run.options;
    this.#earlierAttempts ??= (async () => {
      const attempts = resumes === undefined ? [] : await this.options.record.attempts(resumes);
      const told = attempts.filter(({ state }) => state === "succeeded" || state === "pruned");
      return new Map(told.map((attempt) => [rowKey(attempt.step, attempt.branch), attempt.id]));
    })();
    return this.#earlierAttempts;
  }

  async moveStep(
    row: StepRow,
    from: readonly StepRow["state"][],
    to: StepRow["state"],
    patch: StepPatch = {},
  ): Promise<StepRow> {
    await this.writes.moveStep(row, this.run.leaseEpoch, { from, to }, patch);
    return this.settle({ ...row, ...patch, state: to });
  }

  /** Takes over what was already written by another call of the record. */
  settle(row: StepRow): StepRow {
    this.#rows.set(rowKey(row.step, row.branch), row);
    return row;
  }

  /** Something about the run changed from outside: an approval, a cancellation. */
  poke(): void {
    this.#poke.resolve();
    this.#poke = Promise.withResolvers();
  }

  /** The next poke. Take it before looking at what may have changed, or a poke in between is missed. */
  nextPoke(): Promise<void> {
    return this.#poke.promise;
  }
}

export const rowKey = (step: string, branch: number): string => `${step}/${branch}`;
