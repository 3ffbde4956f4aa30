import type { ModelSignature } from "@espalier/core";
import { log } from "../log.ts";
import type { CapturedExchange, CaptureSink } from "./captured-exchange.ts";
import { createCloudEventsSink } from "./cloud-events-sink.ts";
import { hashKey } from "./hash-key.ts";
import type { CaptureCounts } from "./line-files.ts";
import { isRedacted, type RedactionOptions, unknownFields } from "./redaction.ts";
import { createSagemakerSink } from "./sagemaker-sink.ts";
import { createSegmentSink } from "./segment-sink.ts";

export interface CaptureOptions {
  /** Folder of the segments that the control plane reads. */
  directory?: string;
  /** Outputs beside the score; true when absent. */
  outputs?: boolean;
  /** Inputs and outputs that are never written, in any sink. */
  redact?: readonly string[];
  /** Inputs and outputs of which a keyed hash is written. */
  hash?: readonly string[];
  /** Absent: a key is made beside the segments. */
  hashKeyFile?: string;
  /** KServe's inference logger. */
  cloudEvents?: {
    url: string;
    /** `http://localhost:9081/`, which KServe's own logger says, when absent. */
    source?: string;
    /** The model's name when absent. */
    inferenceService?: string;
    namespace?: string;
    component?: string;
    endpoint?: string;
  };
  /** SageMaker's data capture, under `<directory>/<endpoint>/<variant>/`. */
  sagemaker?: { directory: string; endpoint?: string; variant?: string };
  maxSegmentSeconds?: number;
}

/** All sinks of one model version. */
export interface Capture extends CaptureSink {
  /** `counts` of each sink. */
  sinks(): Readonly<Record<string, CaptureCounts>>;
}

const maxSegmentBytes = 64 * 1024 * 1024;
/** Of each sink. */
const maxBufferBytes = 64 * 1024 * 1024;

/** Absent when there is nowhere to write. Errors: INVALID_CONFIG, NOT_FOUND (a hash key). */
export function createCapture(
  options: CaptureOptions,
  model: { name: string; version: string; signature: ModelSignature },
): Capture | undefined {
  const { directory, cloudEvents, sagemaker, maxSegmentSeconds = 10 } = options;
  const { signature } = model;
  const redaction = redactionOf(options, model);
  const sinks: Record<string, CaptureSink> = {};
  if (directory !== undefined) {
    sinks.segments = createSegmentSink({
      directory,
      model,
      redaction,
      outputs: options.outputs ?? true,
      maxSegmentBytes,
      maxSegmentSeconds,
      maxBufferBytes,
    });
  }
  if (cloudEvents !== undefined) {
    sinks.cloudevents = createCloudEventsSink({
      source: "http://localhost:9081/",
      inferenceService: model.name,
      namespace: "default",
      component: "predictor",
      endpoint: "default",
      ...cloudEvents,
      model,
      redaction,
      maxBufferBytes,
    });
  }
  if (sagemaker !== undefined) {
    sinks.sagemaker = createSagemakerSink({
      endpoint: model.name,
      variant: "AllTraffic",
      ...sagemaker,
      signature,
      redaction,
      maxFileSeconds: maxSegmentSeconds,
      maxBufferBytes,
    });
  }
  const all = Object.values(sinks);
  return all.length === 0 ? undefined : combined(sinks, all);
}

function combined(sinks: Readonly<Record<string, CaptureSink>>, all: readonly CaptureSink[]): Capture {
  return {
    add(exchange: CapturedExchange) {
      for (const sink of all) sink.add(exchange);
    },
    async flush() {
      // Who asks wants to read segments; a receiver elsewhere that stalls must not keep them waiting.
      const { segments } = sinks;
      await Promise.all((segments === undefined ? all : [segments]).map((sink) => sink.flush()));
    },
    async close() {
      await Promise.all(all.map((sink) => sink.close()));
    },
    counts() {
      const counts = all.map((sink) => sink.counts());
      return {
        captured: counts.reduce((sum, { captured }) => sum + captured, 0),
        dropped: counts.reduce((sum, { dropped }) => sum + dropped, 0),
      };
    },
    sinks: () => Object.fromEntries(Object.entries(sinks).map(([name, sink]) => [name, sink.counts()])),
  };
}

function redactionOf(
  { redact = [], hash = [], hashKeyFile, directory }: CaptureOptions,
  model: { name: string; version: string; signature: ModelSignature },
): RedactionOptions {
  const redaction = { drop: redact, hash };
  if (!isRedacted(redaction)) return redaction;
  const unknown = unknownFields(redaction, model.signature);
  if (unknown.length > 0) {
    const names = unknown.map((name) => `"${name}"`).join(", ");
    log("warn", `capture: ${model.name} version ${model.version} has no field ${names} to redact`);
  }
  return hash.length === 0 ? redaction : { ...redaction, key: hashKey(hashKeyFile, directory) };
}
