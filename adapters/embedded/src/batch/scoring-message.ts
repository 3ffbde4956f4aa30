import type { GraphFeed, GraphOutput } from "../onnx-session-client.ts";

/** What a scoring thread is started with. */
export interface ScoringThreadData {
  /** The ONNX file. */
  path: string;
  /** How messages call the model. */
  name: string;
  outputNames: string[];
}

export interface ScoringRequest {
  id: number;
  rows: number;
  feeds: GraphFeed[];
  /** One row that the model fails on is enough. */
  stopsAtFirst: boolean;
}

export interface ScoringReply {
  id: number;
  /** A stretch of rows that went through at once; together with `failed` they are the whole batch. */
  parts: { first: number; rows: number; outputs: GraphOutput[] }[];
  /** Rows that the model fails on alone, with the runtime's words. */
  failed: { row: number; message: string }[];
}
