import { z } from "zod";
import { columnTypeSchema } from "./signature.ts";

const capturedFieldSchema = z.object({
  name: z.string(),
  /** As written: a hashed field is a string. */
  type: columnTypeSchema,
  /** Dimensions after the rows, where a row holds more than one value. A cell is then the flat, row-major list of its values. */
  shape: z.array(z.int()).optional(),
  /** dropped: every value is null; hashed: a keyed hash, equal for equal values. */
  redacted: z.enum(["dropped", "hashed"]).optional(),
});
export type CapturedField = z.infer<typeof capturedFieldSchema>;

/**
 * Captured predictions: JSON-lines segments, written by a model server, read by the control plane. The first line is a header, each
 * further line one request, its values by column. A segment is `*.open.jsonl` while it is written and is closed by rename to `*.jsonl`.
 */
export const captureHeaderSchema = z.object({
  capture: z.literal(1),
  model: z.string(),
  version: z.string(),
  inputs: z.array(capturedFieldSchema),
  /** Absent in segments that hold the score alone. */
  outputs: z.array(capturedFieldSchema).optional(),
  scoreType: z.enum(["number", "string"]),
});
export type CaptureHeader = z.infer<typeof captureHeaderSchema>;

/**
 * One captured request of `rows` rows, its inputs as lists `c0`, `c1`, ... in the order of the header's inputs, its outputs likewise as `o0`,
 * `o1`, ... Row i (from 0) of a request with more than one row has the prediction id `<id>-<i>`.
 */
export interface CaptureLine {
  id: string;
  rows: number;
  /** Milliseconds since the epoch: the business time that the caller gave, else `servedAt`. */
  eventTime: number;
  servedAt: number;
  score: readonly (number | string | null)[];
  [column: `c${number}`]: readonly unknown[];
  [column: `o${number}`]: readonly unknown[];
}

/** Headers of requests and answers, lower case. */
export const servingHeaders = {
  version: "x-espalier-model-version",
  /** Given by the caller, or minted; answered always. */
  predictionId: "x-espalier-prediction-id",
  /** ISO 8601 with a zone: the time that the prediction is about. */
  eventTime: "x-espalier-event-time",
  /** Requests with the same key go to the same version as long as the weights stay. */
  stickyKey: "x-espalier-key",
  /** From the router to the model server: capture this request (1) or not (0). */
  capture: "x-espalier-capture",
  /** Milliseconds that the caller still waits for the answer. The router passes on what is left of them. */
  timeout: "x-espalier-timeout-ms",
} as const;
