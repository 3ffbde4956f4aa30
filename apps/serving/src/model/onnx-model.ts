import { availableParallelism } from "node:os";
import { EspalierError, toEspalierError } from "@espalier/core";
import { type Batcher, createBatcher, type RunReport } from "./batcher.ts";
import { concatenateFeeds, encode, type Feed } from "./layout.ts";
import { measureInlineRows } from "./measure-runs.ts";
import type { LoadedModel, ModelOutput } from "./model.ts";
import { type OnnxSession, openOnnxSession } from "./onnx-client.ts";
import {
  type DescribedGraph,
  describeGraph,
  type GraphPlan,
  type GraphRunner,
  planGraph,
  runGraph,
} from "./onnx-graph.ts";
import { createOnnxPool, type OnnxPool } from "./onnx-pool.ts";
import { startOnnxThread } from "./onnx-thread.ts";
import { sliceRows } from "./slice-rows.ts";
import type { Table } from "./table.ts";
import { repeatRows, warmUpRows } from "./warm-up.ts";

export interface OnnxModelOptions {
  /** Rows that one run takes together. */
  maxBatchRows: number;
  /** Requests that may wait; further ones are refused. */
  maxQueueRequests: number;
  /** Requests that may wait or run. Absent: only the queue is bounded. */
  maxConcurrentRequests?: number;
  /** How long a run may wait for company; 0 when absent. */
  maxDelayMilliseconds?: number;
  /** Where runs happen. `auto`: small ones in this thread, heavy ones in worker threads, as measured when the model is opened. */
  runtime?: "auto" | "inline" | "threads";
  /** Worker threads at most; as many as there are cores, at most 8, when absent. */
  threads?: number;
  /** Told of each run. */
  onRun?(report: RunReport): void;
}

/** Opening a larger file blocks its thread for long, so it is opened in a worker thread, and its runs stay there. */
const mostInlineBytes = 16 * 1024 * 1024;

/** Where runs happen: rows up to `inlineRows` in this thread, the rest in worker threads. */
interface Runtime {
  plan: GraphPlan;
  session: OnnxSession | undefined;
  inlineRows: number;
  pool: OnnxPool;
}

/**
 * Opens a model folder with onnxruntime and runs it once. Errors: NOT_FOUND, INVALID_DATA, UNSUPPORTED (pickles, other flavours),
 * SIGNATURE_MISMATCH, NOT_INSTALLED.
 */
export async function openOnnxModel(folder: string, options: OnnxModelOptions): Promise<LoadedModel> {
  const described = await describeGraph(folder);
  const mode = options.runtime ?? "auto";
  const threads = options.threads ?? Math.min(availableParallelism(), 8);
  const inThreads = mode === "threads" || (mode === "auto" && described.bytes > mostInlineBytes);
  const { plan, session, inlineRows, pool } = inThreads
    ? await openInThread(folder, described, threads)
    : await openInline(
        folder,
        described,
        threads,
        mode === "inline" ? Number.POSITIVE_INFINITY : undefined,
        options.maxBatchRows,
      );
  const heavy = lane(plan, pool, { ...options, othersInFlight: () => inline?.inFlight() ?? 0 }, threads);
  const inlineOptions = {
    ...options,
    maxBatchRows: Math.min(options.maxBatchRows, inlineRows),
    othersInFlight: heavy.inFlight,
  };
  const inline = session === undefined ? undefined : lane(plan, session, inlineOptions, 1);
  const lanes = inline === undefined ? [heavy] : [inline, heavy];
  const { signature, layout } = plan;
  return {
    signature,
    platform: "onnxruntime_onnx",
    inlineRows,
    async predict(table, call) {
      const chosen = inline !== undefined && table.rows <= inlineRows ? inline : heavy;
      return chosen.run({ feeds: encode(signature, layout, table), rows: table.rows }, table.rows, call);
    },
    queueLength: () => lanes.reduce((sum, batcher) => sum + batcher.queueLength(), 0),
    queueAgeMilliseconds: () => Math.max(...lanes.map((batcher) => batcher.queueAgeMilliseconds())),
    inFlight: () => lanes.reduce((sum, batcher) => sum + batcher.inFlight(), 0),
    async release() {
      await Promise.all(lanes.map((batcher) => batcher.close()));
      await Promise.all([session?.release(), pool.release()]);
    },
  };
}

async function openInThread(folder: string, described: DescribedGraph, threads: number): Promise<Runtime> {
  const thread = startOnnxThread(described.file);
  try {
    const metadata = await thread.ready.catch((cause: unknown) => {
      throw openError(described.file, cause);
    });
    const plan = planGraph(described, metadata, folder);
    const pool = createOnnxPool({ file: described.file, threads, keptThreads: 1 }, thread);
    await warmUp(folder, plan, pool);
    return { plan, session: undefined, inlineRows: 0, pool };
  } catch (error) {
    await thread.end();
    throw error;
  }
}

/** `inlineRows` is measured when it is not given. */
async function openInline(
  folder: string,
  described: DescribedGraph,
  threads: number,
  givenRows: number | undefined,
  unmeasuredRows: number,
): Promise<Runtime> {
  const session = await openOnnxSession(described.file).catch((cause: unknown) => {
    throw openError(described.file, cause);
  });
  try {
    const plan = planGraph(described, session, folder);
    const rows = await warmUp(folder, plan, session);
    const measure = (count: number, table: Table) =>
      runGraph(plan, session, encode(plan.signature, plan.layout, repeatRows(table, count)), count);
    const inlineRows =
      givenRows ?? (rows === undefined ? unmeasuredRows : await measureInlineRows((count) => measure(count, rows)));
    const pool = createOnnxPool({ file: described.file, threads, keptThreads: inlineRows === 0 ? 1 : 0 });
    if (inlineRows > 0) return { plan, session, inlineRows, pool };
    await session.release();
    await warmUp(folder, plan, pool);
    return { plan, session: undefined, inlineRows, pool };
  } catch (error) {
    await session.release();
    throw error;
  }
}

interface Request {
  feeds: readonly Feed[];
  rows: number;
}

function lane(
  plan: GraphPlan,
  runner: GraphRunner,
  options: OnnxModelOptions & { othersInFlight(): number },
  maxConcurrentRuns: number,
): Batcher<Request, ModelOutput[]> {
  return createBatcher<Request, ModelOutput[]>({
    ...options,
    // Rows of a graph that takes one at a time gain nothing by company.
    maxBatchRows: plan.takesOneRow ? 1 : options.maxBatchRows,
    maxConcurrentRuns,
    async run(requests, rows) {
      const [only] = requests;
      if (only !== undefined && requests.length === 1) return [await runGraph(plan, runner, only.feeds, rows)];
      const outputs = await runGraph(plan, runner, concatenateFeeds(requests.map(({ feeds }) => feeds)), rows);
      let from = 0;
      return requests.map((request) => {
        const to = from + request.rows;
        const part = sliceRows(outputs, from, to);
        from = to;
        return part;
      });
    },
  });
}

/** The first run allocates; a graph whose outputs do not fit fails here and not at the first caller. */
async function warmUp(folder: string, plan: GraphPlan, runner: GraphRunner): Promise<Table | undefined> {
  const { signature, layout } = plan;
  const table = await warmUpRows(folder, signature);
  if (table === undefined) return undefined;
  try {
    await runGraph(plan, runner, encode(signature, layout, table), table.rows);
  } catch (cause) {
    throw new EspalierError(
      "SIGNATURE_MISMATCH",
      `The model does not run on its warm-up rows: ${toEspalierError(cause).message}`,
      {
        cause,
        hint: "Without a warmup.json in the model's folder that is one row of zeros.",
      },
    );
  }
  return table;
}

function openError(file: string, cause: unknown): EspalierError {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND" || code === "ERR_DLOPEN_FAILED") {
    return new EspalierError("NOT_INSTALLED", "onnxruntime-node can not be loaded", {
      cause,
      hint: "npm install onnxruntime-node@1.30.0 (Linux x64 and arm64, macOS arm64, Windows).",
    });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EspalierError("INVALID_DATA", `onnxruntime can not load the model: ${reason}`, {
    at: file,
    cause,
    hint: "The payload must be an ONNX file; pickles and other formats are never loaded.",
  });
}
