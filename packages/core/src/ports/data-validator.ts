import type { Json } from "../canonical-json.ts";

/** One rule's outcome. Counts are rows. */
export interface RuleResult {
  rule: string;
  kind: string;
  columns: string[];
  severity: "error" | "warn" | "quarantine";
  passed: boolean;
  checked: number;
  failed: number;
  /** What was observed, for aggregates. */
  observed?: Json;
  /** What the rule asks for, in words. */
  expectation: string;
  /** At most 20 failing rows with their row number. */
  samples: { row: number; values: Record<string, Json> }[];
}

export interface ValidationReport {
  rows: number;
  passed: boolean;
  quarantined: number;
  results: RuleResult[];
}

export interface ValidationRequest {
  /** Local path of the Parquet (or CSV) file. */
  dataPath: string;
  /** Parsed rules file. */
  rules: Json;
  /** Where rows that pass go; absent: no rows are written. */
  validPath?: string;
  quarantinePath?: string;
  /** Named tables for `references` rules. */
  tables?: Readonly<Record<string, string>>;
}

/** Milestone 2, validate data. Errors: INVALID_CONFIG (a rule; names its place), INVALID_DATA (unreadable, a column missing). Idempotent. */
export interface DataValidator {
  validate(request: ValidationRequest): Promise<ValidationReport>;
}
