import type { ModelOutput } from "../model/model.ts";
import type { Table } from "../model/table.ts";
import type { CaptureCounts } from "./line-files.ts";

/** Bytes of a request or an answer, as they travelled. */
export interface Payload {
  contentType: string;
  body: string | Uint8Array;
}

/** One answered request. Whoever captures it keeps parts of it for a while, so nobody may change them afterwards. */
export interface CapturedExchange {
  /** Prediction id of the request. */
  id: string;
  /** Milliseconds since the epoch: the business time that the caller gave, else `servedAt`. */
  eventTime: number;
  servedAt: number;
  table: Table;
  outputs: readonly ModelOutput[];
  /** Absent where a protocol has no bytes worth keeping; inputs and outputs are then written anew. */
  request?: Payload;
  response?: Payload;
}

/** Where captured exchanges go. */
export interface CaptureSink {
  /** Never waits and never throws; what does not fit is dropped and counted. */
  add(exchange: CapturedExchange): void;
  /** Everything added so far has arrived. Errors: those of the sink. */
  flush(): Promise<void>;
  /** As `flush`, within seconds; what has not arrived by then is given up and counted. */
  close(): Promise<void>;
  counts(): CaptureCounts;
}
