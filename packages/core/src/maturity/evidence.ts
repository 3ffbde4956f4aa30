/** One thing that happened, by its id in the record. */
export interface Proof {
  /** `kind:id`, as lineage names it. */
  id: string;
  /** Milliseconds since the epoch. */
  at: number;
  what: string;
}

/** Kinds of things that a record can prove. What nobody recorded is no evidence, however true. */
export const evidenceKinds = [
  "pipelineRuns",
  "trackedRuns",
  "datasetVersions",
  "validations",
  "verdicts",
  "registrations",
  "scheduledRuns",
  "triggeredRuns",
  "continuousIntegrationRuns",
  "runDeployments",
  "judgedRollouts",
  "monitorReports",
  "closedLoops",
] as const;
export type EvidenceKind = (typeof evidenceKinds)[number];
/** Newest first. */
export type Evidence = Readonly<Record<EvidenceKind, readonly Proof[]>>;
