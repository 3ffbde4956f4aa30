import type { CaptureCounts } from "./capture/line-files.ts";
import {
  bucketOf,
  expositionContentType,
  family,
  histogramSamples,
  type Sample,
  summarySamples,
} from "./exposition.ts";
import type { DurationCount, StatisticsView } from "./repository/statistics.ts";

/** From 0.5 ms to 10 s: below lies noise of the clock, above the caller has gone. */
const durationBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const batchBounds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 8192];

/** A loaded version, as it is when somebody asks. */
export interface MeasuredModel {
  name: string;
  version: string;
  statistics: StatisticsView;
  queued: number;
  queueAgeMilliseconds: number;
  inFlight: number;
  inlineRows: number | undefined;
  /** By sink. */
  capture: Readonly<Record<string, CaptureCounts>>;
}

export interface ObservedRequest {
  protocol: string;
  status: number;
  /** From the request's headers to its answer. */
  seconds: number;
  rows: number;
  /** Absent where no model was found. */
  model?: string | undefined;
  version?: string | undefined;
}

export interface ModelServerMetrics {
  observeRequest(request: ObservedRequest): void;
  /** All series in Prometheus' text format. */
  text(): Promise<string>;
  contentType: string;
}

interface Series {
  model: string;
  version: string;
  /** By protocol and status. */
  requests: Map<string, { protocol: string; status: number; count: number }>;
  rows: number;
  durations: number[];
  durationSum: number;
}

/** Counts of a model server. Requests are counted in plain numbers; all that is text happens when somebody asks. */
export function createModelServerMetrics(models: () => Iterable<MeasuredModel>): ModelServerMetrics {
  const series = new Map<string, Series>();
  let processMetrics: (() => Promise<string>) | undefined;

  function seriesOf(model: string, version: string): Series {
    const key = `${model}\n${version}`;
    let found = series.get(key);
    if (found === undefined) {
      const durations = new Array<number>(durationBounds.length + 1).fill(0);
      found = { model, version, requests: new Map(), rows: 0, durations, durationSum: 0 };
      series.set(key, found);
    }
    return found;
  }

  return {
    contentType: expositionContentType,
    observeRequest({ protocol, status, seconds, rows, model = "", version = "" }) {
      const of = seriesOf(model, version);
      const key = `${protocol} ${status}`;
      const counter = of.requests.get(key);
      if (counter === undefined) of.requests.set(key, { protocol, status, count: 1 });
      else counter.count++;
      of.rows += rows;
      const bucket = bucketOf(durationBounds, seconds);
      of.durations[bucket] = (of.durations[bucket] ?? 0) + 1;
      of.durationSum += seconds;
    },
    async text() {
      processMetrics ??= await openProcessMetrics();
      const loaded = [...models()];
      return ownFamilies([...series.values()], loaded) + aliasFamilies(loaded) + (await processMetrics());
    },
  };
}

function ownFamilies(series: readonly Series[], loaded: readonly MeasuredModel[]): string {
  const each = (value: (model: MeasuredModel) => number): Sample[] =>
    loaded.map((model) => ({ labels: labelsOf(model), value: value(model) }));
  const capture = (kind: keyof CaptureCounts): Sample[] =>
    loaded.flatMap((model) =>
      Object.entries(model.capture).map(([sink, counts]) => ({
        labels: { ...labelsOf(model), sink },
        value: counts[kind],
      })),
    );
  return [
    family(
      "espalier_serving_requests_total",
      "counter",
      "Prediction requests by protocol and HTTP status.",
      series.flatMap(({ model, version, requests }) =>
        [...requests.values()].map(({ protocol, status, count }) => ({
          labels: { protocol, status, model, version },
          value: count,
        })),
      ),
    ),
    family(
      "espalier_serving_rows_total",
      "counter",
      "Rows predicted.",
      series.map(({ model, version, rows }) => ({ labels: { model, version }, value: rows })),
    ),
    family(
      "espalier_serving_request_duration_seconds",
      "histogram",
      "From the request's headers to its answer.",
      series.flatMap(({ model, version, durations, durationSum }) =>
        histogramSamples({ model, version }, durationBounds, durations, durationSum),
      ),
    ),
    family(
      "espalier_serving_batch_rows",
      "histogram",
      "Rows that shared one run of the model.",
      loaded.flatMap(batchSamples),
    ),
    family(
      "espalier_serving_in_flight_requests",
      "gauge",
      "Requests that wait or run.",
      each((model) => model.inFlight),
    ),
    family(
      "espalier_serving_queue_requests",
      "gauge",
      "Requests that wait for the model.",
      each((model) => model.queued),
    ),
    family(
      "espalier_serving_queue_age_seconds",
      "gauge",
      "How long the oldest waiting request has waited.",
      each((model) => model.queueAgeMilliseconds / 1000),
    ),
    family(
      "espalier_serving_inline_rows",
      "gauge",
      "Rows of a request that runs in the server's own thread at most, as measured; larger ones run in worker threads.",
      loaded
        .filter((model) => model.inlineRows !== undefined)
        .map((model) => ({ labels: labelsOf(model), value: model.inlineRows ?? 0 })),
    ),
    family(
      "espalier_serving_capture_captured_rows",
      "gauge",
      "Rows captured since the process began.",
      capture("captured"),
    ),
    family(
      "espalier_serving_capture_dropped_rows",
      "gauge",
      "Rows dropped by capture since the process began.",
      capture("dropped"),
    ),
  ].join("");
}

function batchSamples(model: MeasuredModel): Sample[] {
  const counts = new Array<number>(batchBounds.length + 1).fill(0);
  let sum = 0;
  for (const [rows, { count }] of model.statistics.batches) {
    const bucket = bucketOf(batchBounds, rows);
    counts[bucket] = (counts[bucket] ?? 0) + count;
    sum += rows * count;
  }
  return histogramSamples(labelsOf(model), batchBounds, counts, sum);
}

/** The same under the names that Triton's, KServe's and MLServer's dashboards and autoscalers ask for. */
function aliasFamilies(loaded: readonly MeasuredModel[]): string {
  const counter = (name: string, help: string, value: (view: StatisticsView) => number): string =>
    family(
      name,
      "counter",
      help,
      loaded.map((model) => ({ labels: labelsOf(model), value: value(model.statistics) })),
    );
  const microseconds = (name: string, help: string, of: (view: StatisticsView) => DurationCount): string =>
    counter(name, help, (view) => Math.round(of(view).milliseconds * 1000));
  const seconds = (name: string, help: string, of: (view: StatisticsView) => DurationCount, label: string): string =>
    family(
      name,
      "summary",
      help,
      loaded.flatMap((model) => {
        const { count, milliseconds } = of(model.statistics);
        return summarySamples({ [label]: model.name }, count, milliseconds / 1000);
      }),
    );
  return [
    counter("nv_inference_request_success", "Triton: requests that were answered.", (view) => view.success.count),
    family(
      "nv_inference_request_failure",
      "counter",
      "Triton: requests that failed, by reason.",
      loaded.flatMap((model) =>
        Object.entries(model.statistics.failures).map(([reason, value]) => ({
          labels: { ...labelsOf(model), reason },
          value,
        })),
      ),
    ),
    counter("nv_inference_count", "Triton: rows predicted.", (view) => view.inferenceCount),
    counter("nv_inference_exec_count", "Triton: runs of the model.", (view) => view.executionCount),
    family(
      "nv_inference_pending_request_count",
      "gauge",
      "Triton: requests that wait for the model.",
      loaded.map((model) => ({ labels: labelsOf(model), value: model.queued })),
    ),
    microseconds("nv_inference_request_duration_us", "Triton: time of answered requests.", (view) => view.success),
    microseconds("nv_inference_queue_duration_us", "Triton: time in the queue.", (view) => view.queue),
    microseconds("nv_inference_compute_input_duration_us", "Triton: time to read inputs.", (view) => view.computeInput),
    microseconds("nv_inference_compute_infer_duration_us", "Triton: time in the model.", (view) => view.computeInfer),
    microseconds(
      "nv_inference_compute_output_duration_us",
      "Triton: time to write outputs.",
      (view) => view.computeOutput,
    ),
    seconds("request_preprocess_seconds", "KServe: time to read inputs.", (view) => view.computeInput, "model_name"),
    seconds("request_predict_seconds", "KServe: time in the model.", (view) => view.computeInfer, "model_name"),
    seconds(
      "request_postprocess_seconds",
      "KServe: time to write outputs.",
      (view) => view.computeOutput,
      "model_name",
    ),
    counter(
      "model_infer_request_success_total",
      "MLServer: requests that were answered.",
      (view) => view.success.count,
    ),
    counter("model_infer_request_failure_total", "MLServer: requests that failed.", (view) => view.fail.count),
  ].join("");
}

function labelsOf({ name, version }: MeasuredModel): { model: string; version: string } {
  return { model: name, version };
}

/** Memory, processor time, event loop and garbage collection; loaded when first asked for, since the start is timed. */
async function openProcessMetrics(): Promise<() => Promise<string>> {
  const { collectDefaultMetrics, Registry } = await import("prom-client");
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return async () => `${await registry.metrics()}\n`;
}
