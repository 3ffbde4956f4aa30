import type {
  ApprovalsTable,
  AttemptsTable,
  CacheEntriesTable,
  FiringsTable,
  PipelineRunsTable,
  PipelineVersionsTable,
  RunEventsTable,
  SchedulesTable,
  StepsTable,
} from "./engine.ts";
import type {
  LoggedModelMetricsTable,
  LoggedModelParamsTable,
  LoggedModelsTable,
  LoggedModelTagsTable,
  RunModelsTable,
} from "./logged-models.ts";
import type {
  MirrorNamesTable,
  MirrorOutboxTable,
  MirrorStatusTable,
  TransferItemsTable,
  TransfersTable,
} from "./mirrors.ts";
import type {
  AuditTable,
  LineageEdgesTable,
  MonitorReportsTable,
  MonitorsTable,
  NoticesTable,
  SimulationsTable,
  TokensTable,
} from "./operations.ts";
import type {
  AliasesTable,
  AliasHistoryTable,
  DatasetsTable,
  DatasetVersionsTable,
  EndpointDeclarationsTable,
  EndpointGenerationsTable,
  EndpointsTable,
  ModelVersionsTable,
  ModelVersionTagsTable,
  RegisteredModelsTable,
  RegisteredModelTagsTable,
  RolloutsTable,
  VerdictsTable,
  WebhooksTable,
} from "./registry.ts";
import type {
  AssessmentsTable,
  SpansTable,
  TraceLinksTable,
  TraceMetadataTable,
  TracesTable,
  TraceTagsTable,
} from "./traces.ts";
import type { FileUploadPartsTable, FileUploadsTable, TrackedFilesTable } from "./tracked-files.ts";
import type {
  CountersTable,
  ExperimentsTable,
  ExperimentTagsTable,
  InputDatasetsTable,
  InputsTable,
  InputTagsTable,
  LatestMetricsTable,
  MetricsTable,
  ParamsTable,
  RunsTable,
  SettingsTable,
  TagsTable,
} from "./tracking.ts";

/** Every table by its name. Booleans are 0 and 1, JSON is text, times are milliseconds since the epoch. */
export interface RecordSchema {
  settings: SettingsTable;
  counters: CountersTable;
  experiments: ExperimentsTable;
  experiment_tags: ExperimentTagsTable;
  runs: RunsTable;
  params: ParamsTable;
  tags: TagsTable;
  metrics: MetricsTable;
  latest_metrics: LatestMetricsTable;
  input_datasets: InputDatasetsTable;
  inputs: InputsTable;
  input_tags: InputTagsTable;
  pipeline_versions: PipelineVersionsTable;
  pipeline_runs: PipelineRunsTable;
  steps: StepsTable;
  attempts: AttemptsTable;
  cache_entries: CacheEntriesTable;
  run_events: RunEventsTable;
  approvals: ApprovalsTable;
  schedules: SchedulesTable;
  firings: FiringsTable;
  datasets: DatasetsTable;
  dataset_versions: DatasetVersionsTable;
  registered_models: RegisteredModelsTable;
  registered_model_tags: RegisteredModelTagsTable;
  model_versions: ModelVersionsTable;
  model_version_tags: ModelVersionTagsTable;
  aliases: AliasesTable;
  alias_history: AliasHistoryTable;
  verdicts: VerdictsTable;
  endpoints: EndpointsTable;
  endpoint_declarations: EndpointDeclarationsTable;
  endpoint_generations: EndpointGenerationsTable;
  rollouts: RolloutsTable;
  monitors: MonitorsTable;
  monitor_reports: MonitorReportsTable;
  simulations: SimulationsTable;
  lineage_edges: LineageEdgesTable;
  tokens: TokensTable;
  audit: AuditTable;
  notices: NoticesTable;
  webhooks: WebhooksTable;
  logged_models: LoggedModelsTable;
  logged_model_params: LoggedModelParamsTable;
  logged_model_tags: LoggedModelTagsTable;
  logged_model_metrics: LoggedModelMetricsTable;
  run_models: RunModelsTable;
  traces: TracesTable;
  trace_tags: TraceTagsTable;
  trace_metadata: TraceMetadataTable;
  spans: SpansTable;
  assessments: AssessmentsTable;
  trace_links: TraceLinksTable;
  tracked_files: TrackedFilesTable;
  file_uploads: FileUploadsTable;
  file_upload_parts: FileUploadPartsTable;
  mirror_outbox: MirrorOutboxTable;
  mirror_names: MirrorNamesTable;
  mirror_status: MirrorStatusTable;
  transfers: TransfersTable;
  transfer_items: TransferItemsTable;
}
