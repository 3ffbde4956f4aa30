import type { BenchModel, BenchRequest } from "./model.ts";
import type { BenchServer } from "./server-process.ts";

/** One server under measurement. */
export interface Contender {
  /** As `--only` has it. */
  key: string;
  title: string;
  /** How it is set up, for the reader of the table. */
  setUp: string;
  start(model: BenchModel, scratch: string): Promise<BenchServer | { skipped: string }>;
  /** What it is asked, one row of the table each. */
  loads: readonly ContenderLoad[];
}

export interface ContenderLoad {
  protocol: string;
  request(model: BenchModel): BenchRequest;
  /** All 64, as a rule. */
  connections?: number;
}
