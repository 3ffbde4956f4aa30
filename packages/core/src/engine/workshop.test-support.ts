import type { ArtifactRef } from "../artifact.ts";
import { canonicalJson, digestOfBytes, digestOfJson, type Json } from "../canonical-json.ts";
import type { PipelineIr } from "../ir/pipeline.ts";
import type { Staging, WorkOrder } from "../ports/staging.ts";
import type { StepRunner, StepStatus } from "../ports/step-runner.ts";
import type { RunOptions, RunRow, StepRow } from "../record/engine-record.ts";
import { createEngine, type Engine } from "./engine.ts";
import { createMemoryRecord, type MemoryRecord } from "./memory-record.test-support.ts";
import type { EngineOptions } from "./options.ts";

/** What a step of a test does: its outputs' content, an exit code, or nothing until it is told. */
export type Behaviour = (order: WorkOrder, attempt: number) => Json | number | Promise<Json | number>;

export interface Workshop {
  record: MemoryRecord;
  /** Changes count from the next engine on; `createEngine` keeps the object. */
  options: EngineOptions;
  engine: Engine;
  /** `step` or `step[branch]`, in the order in which attempts were submitted. */
  started: string[];
  cancelled: string[];
  blobs: Set<string>;
  /** Ends the way kill -9 does: the engine is gone, the steps go on; then another engine starts. */
  crash(): Promise<void>;
  run(
    pipeline: Pick<PipelineIr, "steps"> & Partial<PipelineIr>,
    options?: RunOptions,
    extra?: Partial<RunRow>,
  ): Promise<string>;
  finish(runId: string): Promise<Record<string, StepRow["state"]>>;
  row(runId: string, step: string, branch?: number): Promise<StepRow>;
}

export function createWorkshop(
  behaviours: Record<string, Behaviour>,
  overrides: Partial<EngineOptions> & { limit?: number } = {},
): Workshop {
  let ids = 0;
  const record = createMemoryRecord(() => Date.now());
  const started: string[] = [];
  const cancelled: string[] = [];
  const blobs = new Set<string>();
  const orders = new Map<string, WorkOrder>();
  const ended = new Map<string, Promise<StepStatus>>();
  const results = new Map<string, Json>();
  const stops = new Map<string, (status: StepStatus) => void>();
  const tries = new Map<string, number>();

  const refOf = (value: Json, type: ArtifactRef["type"]): ArtifactRef => {
    const text = canonicalJson(value);
    const digest = digestOfBytes(text);
    blobs.add(digest);
    return { type, digest, size: text.length };
  };
  const runner: StepRunner = {
    sharesFiles: true,
    async submit({ attemptId }) {
      if (ended.has(attemptId)) return attemptId;
      const order = orders.get(attemptId);
      if (!order) throw new Error("submitted before it was prepared");
      const name = order.branch < 0 ? order.step : `${order.step}[${order.branch}]`;
      started.push(name);
      const count = (tries.get(name) ?? 0) + 1;
      tries.set(name, count);
      const stopped = new Promise<StepStatus>((resolve) => stops.set(attemptId, resolve));
      const work = (async (): Promise<StepStatus> => {
        const result = await (behaviours[order.step] ?? (() => ({})))(order, count);
        if (typeof result === "number") return { state: "exited", exitCode: result };
        results.set(attemptId, result);
        return { state: "exited", exitCode: 0 };
      })();
      ended.set(attemptId, Promise.race([work, stopped]));
      return attemptId;
    },
    status: async (handle) => (await ended.get(handle)) ?? { state: "lost", message: "unknown" },
    wait: async (handle) => (await ended.get(handle)) ?? { state: "lost", message: "unknown" },
    logs: async (_handle, offset) => ({ bytes: new Uint8Array(), next: offset }),
    async cancel(handle) {
      cancelled.push(orders.get(handle)?.step ?? handle);
      stops.get(handle)?.({ state: "cancelled" });
    },
  };
  const staging: Staging = {
    async prepare(order) {
      orders.set(order.attemptId, order);
      return { kind: "local", command: "", workingDirectory: "", attemptDirectory: "", variables: {} };
    },
    async collect(order) {
      const result = (results.get(order.attemptId) ?? {}) as Record<string, Json>;
      const outputs = Object.entries(order.outputs).filter(
        ([name, { optional }]) => !optional || result[name] !== undefined,
      );
      const values = outputs.filter(([, { type }]) => type === "value").map(([name]) => [name, result[name] ?? null]);
      const refs = outputs.map(([name, { type }]) => [name, refOf(result[name] ?? `${order.step}.${name}`, type)]);
      return { outputs: Object.fromEntries(refs), values: Object.fromEntries(values) };
    },
    gather: async (branches) =>
      refOf(
        branches.map((ref) => ref.digest),
        "tree",
      ),
    readEvents: async (_id, offset) => ({ events: [], next: offset }),
    closeLog: async (order) => ({ tail: `log of ${order.step}` }),
    discard: async () => undefined,
  };
  const { limit = 8, ...options } = overrides;
  const engineOptions: EngineOptions = {
    record,
    artifacts: {
      exists: async (ref) => blobs.has(ref.digest),
      putBytes: async (bytes, type) => refOf(JSON.parse(Buffer.from(bytes).toString("utf8")) as Json, type),
    },
    staging,
    runnerFor: (step) => ({ runner, tool: "test/memory", name: step.compute ?? "default", limit }),
    builtins: {},
    recordSteps: {},
    owner: "test",
    platform: "linux-x64",
    newId: () => `attempt-${++ids}`,
    clock: {
      now: () => Date.now(),
      delay: (milliseconds, signal) =>
        new Promise((resolve, reject) => {
          signal.throwIfAborted();
          // Hours pass in milliseconds: delays keep their order, and no test waits for a clock.
          const timer = setTimeout(resolve, Math.min(milliseconds / 100, 2_000));
          const abort = (): void => {
            clearTimeout(timer);
            reject(signal.reason);
          };
          signal.addEventListener("abort", abort, { once: true });
        }),
    },
    leaseSeconds: 30,
    graceSeconds: 1,
    onError: (error) => {
      throw error;
    },
    ...options,
  };
  const start = (): Engine => createEngine(engineOptions);
  const workshop: Workshop = {
    record,
    options: engineOptions,
    engine: start(),
    started,
    cancelled,
    blobs,
    async crash() {
      await workshop.engine.stop();
      record.dropLeases();
      workshop.engine = start();
      await workshop.engine.start();
    },
    async run(pipeline, runOptions = {}, extra = {}) {
      const ir: PipelineIr = { ir: 1, name: "test", ...pipeline };
      const id = `run-${++ids}`;
      await record.createRun({
        id,
        pipeline: ir,
        pipelineDigest: digestOfJson(ir),
        params: {},
        stack: "laptop",
        trigger: { kind: "manual", by: "test" },
        options: runOptions,
        resolved: {},
        snapshots: {},
        ...extra,
      });
      await workshop.engine.start();
      return id;
    },
    async finish(runId) {
      await workshop.engine.finished(runId);
      const rows = await record.steps(runId);
      return Object.fromEntries(rows.filter((row) => row.branch < 0).map((row) => [row.step, row.state]));
    },
    async row(runId, step, branch = -1) {
      const row = (await record.steps(runId)).find((one) => one.step === step && one.branch === branch);
      if (!row) throw new Error(`no row ${step}[${branch}]`);
      return row;
    },
  };
  return workshop;
}
