import { availableParallelism } from "node:os";
import { EspalierError, type InputColumn, type ModelSignature } from "@espalier/core";
import { log } from "../log.ts";
import { type Batcher, createBatcher, type RunReport } from "../model/batcher.ts";
import { columnTypes } from "../model/column-types.ts";
import type { LoadedModel, ModelCall, ModelOutput } from "../model/model.ts";
import type { PythonFolder } from "../model/python-folder.ts";
import { sliceRows } from "../model/slice-rows.ts";
import type { Table } from "../model/table.ts";
import { decodeOutputs, type EncodedColumns, encodeColumns } from "./columns.ts";
import type { Frame } from "./frames.ts";
import { checkReadable, environmentFolder, workerIdentity } from "./identity.ts";
import { defaultMemoryBytes } from "./memory.ts";
import { type PythonInputs, pythonInputs, pythonOutputs } from "./mlflow-signature.ts";
import { WorkerDied } from "./worker.ts";
import { createWorkerPool, type PoolRequest, type WorkerPool } from "./worker-pool.ts";

export interface PythonOptions {
  /** `bin/python` of the model's environment. */
  program?: string;
  /** Processes with the model in memory; 1 when left out. */
  workers?: number;
  /** What one request may take; 60 when left out, as for `mlflow models serve`. */
  timeoutSeconds?: number;
  /** What loading the model may take; 300 when left out. */
  startSeconds?: number;
  /** A worker's memory; four fifths of the machine's, shared among them, when left out. */
  memoryBytes?: number;
}

export interface PythonLoadOptions extends PythonOptions {
  maxBatchRows: number;
  maxQueueRequests: number;
  maxConcurrentRequests?: number;
  maxDelayMilliseconds?: number;
  onRun?(report: RunReport): void;
}

/** Libraries whose models answer each row by itself. Code of the user's may look at the whole frame, so its requests are never joined. */
const rowWise = new Set([
  "sklearn",
  "xgboost",
  "lightgbm",
  "catboost",
  "pytorch",
  "tensorflow",
  "keras",
  "statsmodels",
  "spacy",
  "h2o",
]);

/**
 * Any MLflow model, run by its own Python in processes of their own. Errors: NOT_INSTALLED (no Python was given), NOT_FOUND,
 * PERMISSION_DENIED, ENVIRONMENT_FAILED, INVALID_DATA, TIMEOUT, UNAVAILABLE.
 */
export async function openPythonModel(model: PythonFolder, options: PythonLoadOptions): Promise<LoadedModel> {
  const python = options.program;
  if (python === undefined) throw noPython(model);
  const identity = workerIdentity();
  await checkReadable(environmentFolder(python), "The Python environment", identity.user);
  await checkReadable(model.folder, "The model folder", identity.user);
  log("info", identity.said);
  const workers = options.workers ?? 1;
  const at = `${model.folder}/MLmodel`;
  const given = givenInputs(model, at);
  const pool = await createWorkerPool({
    python,
    modelFolder: model.folder,
    identity,
    workers,
    memoryBytes: options.memoryBytes ?? defaultMemoryBytes(workers),
    startSeconds: options.startSeconds ?? 300,
    timeoutSeconds: options.timeoutSeconds ?? 60,
    waitSeconds: 30,
    threads: Math.max(1, Math.floor(availableParallelism() / workers)),
  });
  try {
    const inputs = given ?? learntInputs(model, pool.description.columns);
    const outputs = await learnOutputs(model, pool, inputs, at);
    return served(model, pool, inputs, outputs, options);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

function givenInputs(model: PythonFolder, at: string): PythonInputs | undefined {
  const own = model.signature;
  const inputs = pythonInputs(model.inputs, at);
  if (own === undefined) return inputs;
  return { columns: own.inputs, isMatrix: inputs?.isMatrix ?? false };
}

/** Models without a signature that know the names of their columns were fitted on a frame, and take one. */
function learntInputs(model: PythonFolder, columns: readonly string[] | null): PythonInputs | undefined {
  if (columns === null || model.inputs !== undefined) return undefined;
  return { columns: columns.map((name): InputColumn => ({ name, type: "double", nullable: true })), isMatrix: false };
}

/**
 * A first run, of the rows that the model was logged with or of a row of zeros: it shows what the model answers, and costs the first
 * caller nothing. A model that refuses them is served all the same, by what its signature says.
 */
async function learnOutputs(
  model: PythonFolder,
  pool: WorkerPool,
  inputs: PythonInputs | undefined,
  at: string,
): Promise<ModelSignature["outputs"]> {
  const declared = model.signature?.outputs ?? pythonOutputs(model.outputs, at);
  if (inputs === undefined) return declared;
  try {
    let frame = await pool.ask({ header: { op: "learn" }, parts: [] }, 0);
    if (frame.header["outputs"] === undefined) {
      if (inputs.columns.some(({ type }) => type === "string" || type === "datetime")) return declared;
      const { rows, columns, parts } = encodeTables(inputs, [zeros(inputs.columns)]);
      frame = await pool.ask({ header: { op: "predict", rows, columns }, parts }, 0);
    }
    const seen = renamed(decodeOutputs(frame), declared);
    // Lists that are all empty tell nothing of those that are not.
    if (seen.some(({ tail }) => tail.includes(0))) return declared;
    return seen.map(({ name, type, tail }) => ({
      name,
      type: columnTypes[type] ?? "string",
      ...(tail.length > 0 ? { shape: [...tail] } : {}),
    }));
  } catch (error) {
    log("warn", `The model's first run failed: ${error instanceof Error ? error.message : error}`);
    return declared;
  }
}

function zeros(columns: readonly InputColumn[]): Table {
  const zero = (column: InputColumn): unknown => {
    const size = (column.shape ?? []).reduce((product, length) => product * length, 1);
    const value = column.type === "boolean" ? false : 0;
    return column.shape === undefined ? value : new Array(size).fill(value);
  };
  return { rows: 1, values: columns.map(zero) };
}

/** An array has no name; the signature may have one for it. */
function renamed(outputs: ModelOutput[], declared: ModelSignature["outputs"]): ModelOutput[] {
  const [only] = declared;
  const [output] = outputs;
  if (only === undefined || output === undefined || declared.length !== 1 || outputs.length !== 1) return outputs;
  return output.form === "values" ? [{ ...output, name: only.name }] : outputs;
}

function encodeTables(inputs: PythonInputs, tables: readonly Table[]): EncodedColumns {
  if (!inputs.isMatrix) return encodeColumns(inputs.columns, tables);
  // Row-major as it lies there: one tensor.
  const width = inputs.columns.length;
  const type = inputs.columns[0]?.type ?? "double";
  const rows = tables.map(({ rows: count, values }) => ({
    rows: count,
    values: Array.from({ length: count }, (_, row) =>
      Array.prototype.slice.call(values, row * width, (row + 1) * width),
    ),
  }));
  return encodeColumns([{ name: "input", type, shape: [width] }], rows);
}

type Answer = { outputs: ModelOutput[] } | { error: unknown };

function served(
  model: PythonFolder,
  pool: WorkerPool,
  inputs: PythonInputs | undefined,
  outputs: ModelSignature["outputs"],
  options: PythonLoadOptions,
): LoadedModel {
  const signature: ModelSignature = {
    ...(model.signature ?? { format: "mlflow", payload: "." }),
    inputs: inputs?.columns ?? [],
    outputs,
  };
  const declared = outputs;

  function request(op: "predict" | "explain", tables: readonly Table[], params: unknown): PoolRequest {
    if (inputs === undefined) throw new EspalierError("INTERNAL", "A model without a table was asked for one");
    const { rows, columns, parts } = encodeTables(inputs, tables);
    return { header: { op, rows, columns, ...(params === undefined ? {} : { params }) }, parts };
  }

  const run = async (tables: readonly Table[], params: unknown, retries: number) =>
    decodeOutputs(await pool.ask(request("predict", tables, params), retries));

  /** Requests that ended their worker together are asked one by one, so that only the one at fault fails. */
  async function runTogether(calls: readonly Call[]): Promise<Answer[]> {
    const [first] = calls;
    if (first === undefined || calls.length === 1) return first === undefined ? [] : [await runAlone(first)];
    try {
      const outcome = renamed(
        await run(
          calls.map(({ table }) => table),
          first.params,
          0,
        ),
        declared,
      );
      let from = 0;
      return calls.map(({ table: { rows } }) => {
        const part = sliceRows(outcome, from, from + rows);
        from += rows;
        return { outputs: part };
      });
    } catch (error) {
      if (!(error instanceof WorkerDied) && !isLate(error)) throw error;
      const answers: Answer[] = [];
      for (const call of calls) answers.push(await runAlone(call));
      return answers;
    }
  }

  async function runAlone({ table, params }: Call): Promise<Answer> {
    try {
      return { outputs: renamed(await run([table], params, mostRetries), declared) };
    } catch (error) {
      return { error };
    }
  }

  const maxConcurrentRuns = options.workers ?? 1;
  const limits = {
    maxQueueRequests: options.maxQueueRequests,
    maxConcurrentRuns,
    ...(options.maxConcurrentRequests === undefined ? {} : { maxConcurrentRequests: options.maxConcurrentRequests }),
  };
  /** Explanations, and bodies that MLflow reads itself: never joined, and held to the same limits and deadlines. */
  const alone: Batcher<PoolRequest, Frame> = createBatcher<PoolRequest, Frame>({
    ...limits,
    run: (requests) => Promise.all(requests.map((request) => pool.ask(request, mostRetries))),
    maxBatchRows: 1,
    othersInFlight: () => together.inFlight(),
  });
  const together: Batcher<Call, Answer> = createBatcher<Call, Answer>({
    ...limits,
    run: runTogether,
    maxBatchRows: model.flavors.some((flavor) => rowWise.has(flavor)) ? options.maxBatchRows : 1,
    othersInFlight: alone.inFlight,
    ...(options.maxDelayMilliseconds === undefined ? {} : { maxDelayMilliseconds: options.maxDelayMilliseconds }),
    ...(options.onRun === undefined ? {} : { onRun: options.onRun }),
  });

  return {
    signature,
    platform: "mlflow_pyfunc",
    takesParams: model.params !== undefined && model.params !== "[]",
    async predict(table, call) {
      const params = given(call);
      const group = params === undefined ? "" : JSON.stringify(params);
      const answer = await together.run({ table, params }, table.rows, { ...call, group });
      if ("error" in answer) throw answer.error;
      return answer.outputs;
    },
    async explain(table, call) {
      return decodeOutputs(await alone.run(request("explain", [table], given(call)), 1, call));
    },
    async invoke(body, contentType, call) {
      const frame = await alone.run({ header: { op: "invoke", content_type: contentType }, parts: [body] }, 1, call);
      const { status, content_type: type } = frame.header as { status: number; content_type: string };
      return { status, contentType: type, body: frame.body };
    },
    isReady: pool.isReady,
    queueLength: () => together.queueLength() + alone.queueLength(),
    queueAgeMilliseconds: () => Math.max(together.queueAgeMilliseconds(), alone.queueAgeMilliseconds()),
    inFlight: () => together.inFlight() + alone.inFlight(),
    async release() {
      await Promise.all([together.close(), alone.close()]);
      await pool.close();
    },
  };
}

/** A worker may die of something else while it has the request, more than once in bad times; a row that ends four of them is at fault. */
const mostRetries = 3;

interface Call {
  table: Table;
  params: ModelCall["params"];
}

function given(call: ModelCall | undefined): ModelCall["params"] {
  return call?.params === undefined || Object.keys(call.params).length === 0 ? undefined : call.params;
}

function isLate(error: unknown): boolean {
  return error instanceof EspalierError && error.code === "TIMEOUT";
}

function noPython({ folder, flavors }: PythonFolder): EspalierError {
  return new EspalierError(
    "NOT_INSTALLED",
    `This MLflow model (${flavors.join(", ")}) needs its Python environment, and none was given`,
    {
      at: folder,
      hint: "Start the server with --python FOLDER/bin/python (or ESPALIER_MODEL_PYTHON), an environment with mlflow and the model's requirements.txt; `espalier deploy` makes it by itself.",
    },
  );
}
