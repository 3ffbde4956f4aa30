/** What the thread of a reader is asked and answers. Plain data only: it is copied from one heap to the other. */

export interface ReaderQuestion {
  id: number;
  sql: string;
  parameters: readonly unknown[];
}

/** Rows as arrays: their keys are not copied once a row. */
export interface ReaderAnswer {
  id: number;
  columns: string[];
  rows: unknown[][];
}

/** An error of node:sqlite; its class does not survive the copy, what tells it apart does. */
export interface ReaderFailure {
  id: number;
  message: string;
  code: string | undefined;
  errcode: number | undefined;
}

export type ReaderReply = ReaderAnswer | ReaderFailure;
