import type { Json, JsonObject } from "@espalier/core";

/** One of the thirteen standard stages, and what happened at it. */
export interface Milestone {
  number: number;
  title: string;
  /** Sentences, the most important first; empty when nothing happened. */
  lines: string[];
}

/** One table under a milestone: rows that a rule found, for example. */
export interface SampleTable {
  title: string;
  columns: string[];
  rows: string[][];
}

export interface Window {
  /** YYYY-MM-DD; the end is not inside. */
  from: string;
  to: string;
  status: "ok" | "alert" | "insufficient";
  summary: string;
  action?: string;
  /** `model@version` that served most of it. */
  served?: string;
  results: JsonObject;
}

export interface MonitorStory {
  name: string;
  kind: string;
  endpoint: string;
  /** As written in the project. */
  thresholds: Json;
  windows: Window[];
}

export type RetrainingOutcome = "rolled out" | "rolled back" | "under way" | "refused" | "unchanged" | "failed";

export interface Retraining {
  runId: string;
  /** The day it is about. */
  date: string;
  trigger: string;
  outcome: RetrainingOutcome;
  /** `model@version`, when one was registered. */
  version?: string;
  sentence: string;
}

export interface GateDecision {
  id: string;
  runId?: string;
  /** The day that the candidate's run was about; absent for a run by hand. */
  date?: string;
  /** What the candidate is called here: its version, or its run. */
  candidate: string;
  outcome: string;
  allowed: boolean;
  comparedWith: string;
  metric: string;
  value?: number;
  reference?: number;
  difference?: { value: number; lower: number; upper: number };
  margin: number;
  /** What the lower end had to be above; absent where the policy compares with no champion. */
  needed?: number;
  confidence: number;
  blocks?: string;
  reasons: string[];
}

/** From one answer of the endpoint back to the file that its model was made of. */
export interface LineageStep {
  kind: string;
  title: string;
  detail: string;
}

/** Everything the report tells, gathered from the record; the terminal and the page only draw it. */
export interface Story {
  project: string;
  /** ISO 8601. */
  gatheredAt: string;
  headline: string[];
  milestones: Milestone[];
  samples: SampleTable[];
  monitors: MonitorStory[];
  retrainings: Retraining[];
  gates: GateDecision[];
  lineage: LineageStep[];
}
