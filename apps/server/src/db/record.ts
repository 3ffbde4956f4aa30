import type { EngineRecord } from "@espalier/core";
import { openDatabase, type RecordLocation } from "./database.ts";
import type { SqliteOptions } from "./dialect/sqlite-dialect.ts";
import { type AliasQueries, createAliasQueries } from "./queries/aliases.ts";
import { type ApprovalQueries, createApprovalQueries } from "./queries/approvals.ts";
import { type AuditQueries, createAuditQueries } from "./queries/audit.ts";
import { type ChangeQueries, createChangeQueries } from "./queries/change-marks.ts";
import { createDatasetQueries, type DatasetQueries } from "./queries/datasets.ts";
import { createDeclarationQueries, type DeclarationQueries } from "./queries/declarations.ts";
import { createEndpointQueries, type EndpointQueries } from "./queries/endpoints.ts";
import { createEngineRecord } from "./queries/engine/engine-record.ts";
import { dropLeases } from "./queries/engine/leases.ts";
import { ensureDefaultExperiment } from "./queries/experiments.ts";
import { createFileUploadQueries, type FileUploadQueries } from "./queries/file-uploads.ts";
import { createFileQueries, type FileQueries } from "./queries/files.ts";
import { createFiringQueries, type FiringQueries } from "./queries/firings.ts";
import { createHealthQueries, type HealthQueries } from "./queries/health.ts";
import { createLineageQueries, type LineageQueries } from "./queries/lineage.ts";
import { createLoggedModelQueries, type LoggedModelQueries } from "./queries/logged-models/logged-models.ts";
import { type CurveQueries, createCurveQueries } from "./queries/metric-curves.ts";
import { createMirrorQueries, type MirrorQueries } from "./queries/mirrors.ts";
import { createModelQueries, type ModelQueries } from "./queries/models.ts";
import { createMonitorQueries, type MonitorQueries } from "./queries/monitors.ts";
import { createNoticeQueries, type NoticeQueries } from "./queries/notices.ts";
import { createPublishedQueries, type PublishedQueries } from "./queries/published.ts";
import { createReferenceQueries, type ReferenceQueries } from "./queries/references.ts";
import { createRegistryQueries, type RegistryQueries } from "./queries/registry/registry.ts";
import { createRetentionQueries, type RetentionQueries } from "./queries/retention.ts";
import { createRolloutQueries, type RolloutQueries } from "./queries/rollouts.ts";
import { createRunMetricQueries, type RunMetricQueries } from "./queries/run-metrics.ts";
import { createRunQueries, type RunQueries } from "./queries/runs.ts";
import { createScheduleQueries, type ScheduleQueries } from "./queries/schedules.ts";
import { createSettingQueries, type SettingQueries } from "./queries/settings.ts";
import { createSimulationQueries, type SimulationQueries } from "./queries/simulations.ts";
import { createStepDurationQueries, type StepDurationQueries } from "./queries/step-durations.ts";
import { createTokenQueries, type TokenQueries } from "./queries/tokens.ts";
import { createTraceQueries, type TraceQueries } from "./queries/traces/traces.ts";
import { createTrackingQueries, type TrackingQueries } from "./queries/tracking/tracking.ts";
import { countImported } from "./queries/transfer/count-imported.ts";
import { createImportRegistry, type ImportRegistry } from "./queries/transfer/import-registry.ts";
import { createImportRows, type ImportRows } from "./queries/transfer/import-rows.ts";
import { createTrackedReads, type TrackedReads } from "./queries/transfer/read-tracked.ts";
import { createTransferQueries, type TransferQueries } from "./queries/transfer/transfers.ts";
import { createVerdictQueries, type VerdictQueries } from "./queries/verdicts.ts";
import { createRunListeners, type RunListeners } from "./run-listeners.ts";

export interface RecordOptions extends SqliteOptions {
  /**
   * This process holds the project's owner lock, so every other owner is dead: leases that a killed one left are dropped at once.
   * Without it they run out by themselves.
   */
  soleOwner?: boolean;
}

/** The metadata of one project. Every list is paged and bounded. */
export interface ProjectRecord {
  kind: "sqlite" | "postgres";
  engine: EngineRecord & Required<Pick<EngineRecord, "applyAll">>;
  runs: RunQueries;
  runMetrics: RunMetricQueries;
  curves: CurveQueries;
  stepDurations: StepDurationQueries;
  /** What `doctor` looks at. */
  health: HealthQueries;
  /** What MLflow's clients log and look up. */
  tracking: TrackingQueries;
  /** Files behind the artifact proxy, by path. */
  files: FileQueries;
  fileUploads: FileUploadQueries;
  published: PublishedQueries;
  datasets: DatasetQueries;
  /** Models as MLflow 3 logs them, registered or not. */
  loggedModels: LoggedModelQueries;
  traces: TraceQueries;
  models: ModelQueries;
  aliases: AliasQueries;
  /** The same registry as MLflow's clients see it, and its webhooks. */
  registry: RegistryQueries;
  verdicts: VerdictQueries;
  endpoints: EndpointQueries;
  /** Endpoints as espalier.yaml declares them, as of the last `apply`. */
  declarations: DeclarationQueries;
  rollouts: RolloutQueries;
  schedules: ScheduleQueries;
  firings: FiringQueries;
  approvals: ApprovalQueries;
  monitors: MonitorQueries;
  simulations: SimulationQueries;
  lineage: LineageQueries;
  tokens: TokenQueries;
  audit: AuditQueries;
  /** Whether anything changed, for pages that are open. */
  changes: ChangeQueries;
  notices: NoticeQueries;
  settings: SettingQueries;
  references: ReferenceQueries;
  /** The outbox towards mirrors. */
  mirrors: MirrorQueries;
  /** Imports and exports, and their ledger. */
  transfers: TransferQueries;
  transferRows: ImportRows;
  /** Whole things, as mirrors and exports tell them. */
  trackedReads: TrackedReads;
  transferRegistry: ImportRegistry;
  /** What is on record of what was imported from a peer. */
  countImported(peer: string): Promise<Record<string, number>>;
  retention: RetentionQueries;
  /** Tells of changes that this process made; those of others are found by reading events from a number on. */
  listeners: RunListeners;
  close(): Promise<void>;
}

/** Opens the record and brings it to the newest version. Errors: SCHEMA_TOO_NEW, UNAVAILABLE, PERMISSION_DENIED, CORRUPTED. */
export async function openRecord(
  location: RecordLocation,
  projectId: string,
  options: RecordOptions = {},
): Promise<ProjectRecord> {
  const database = await openDatabase(location, projectId, options);
  await ensureDefaultExperiment(database);
  if (options.soleOwner === true && database.kind === "sqlite") await dropLeases(database);
  const listeners = createRunListeners();
  const runs = createRunQueries(database);
  return {
    kind: database.kind,
    engine: createEngineRecord(database, listeners.changed),
    runs,
    runMetrics: createRunMetricQueries(database, runs),
    curves: createCurveQueries(database),
    stepDurations: createStepDurationQueries(database),
    health: createHealthQueries(database),
    tracking: createTrackingQueries(database),
    files: createFileQueries(database),
    fileUploads: createFileUploadQueries(database),
    published: createPublishedQueries(database),
    datasets: createDatasetQueries(database),
    loggedModels: createLoggedModelQueries(database),
    traces: createTraceQueries(database),
    models: createModelQueries(database),
    aliases: createAliasQueries(database),
    registry: createRegistryQueries(database),
    verdicts: createVerdictQueries(database),
    endpoints: createEndpointQueries(database),
    declarations: createDeclarationQueries(database),
    rollouts: createRolloutQueries(database),
    schedules: createScheduleQueries(database),
    firings: createFiringQueries(database),
    approvals: createApprovalQueries(database),
    monitors: createMonitorQueries(database),
    simulations: createSimulationQueries(database),
    lineage: createLineageQueries(database),
    tokens: createTokenQueries(database),
    audit: createAuditQueries(database),
    changes: createChangeQueries(database),
    notices: createNoticeQueries(database),
    settings: createSettingQueries(database),
    references: createReferenceQueries(database),
    mirrors: createMirrorQueries(database),
    transfers: createTransferQueries(database),
    transferRows: createImportRows(database),
    trackedReads: createTrackedReads(database),
    transferRegistry: createImportRegistry(database),
    countImported: (peer) => countImported(database, peer),
    retention: createRetentionQueries(database),
    listeners,
    close: () => database.kysely.destroy(),
  };
}
