export {
  hellinger,
  jensenShannon,
  kullbackLeibler,
  populationStabilityIndex,
  totalVariation,
} from "./drift/distances.ts";
export { histogramKolmogorovSmirnov, histogramWasserstein } from "./drift/histogram-distances.ts";
export {
  type ColumnDrift,
  type DriftMeasure,
  type DriftReport,
  type DriftThresholds,
  defaultThresholds,
  driftReport,
  type MeasureThresholds,
} from "./drift/report.ts";
export {
  type ExactDrift,
  energyDistance,
  evidentlyCounts,
  evidentlyDrift,
  normalisedWasserstein,
  wasserstein,
} from "./drift/samples.ts";
export { chiSquare, kolmogorovSmirnov, proportionTest, type TestResult } from "./drift/tests.ts";
export { type LivePerformanceOptions, livePerformance, type WindowPerformance } from "./live-performance.ts";
export { matchStrata, mergeProfiles, type WeightedProfile } from "./profile/merge.ts";
export {
  type ColumnKind,
  type ColumnProfile,
  comparableCounts,
  type Histogram,
  histogramEdges,
  type Moments,
  type TableProfile,
} from "./profile/profile.ts";
export { columnKind, type ProfileOptions } from "./profile/profile-sql.ts";
export { profileStrata, profileTable } from "./profile/profile-table.ts";
export { type CompiledRules, compileRules } from "./rules/compile.ts";
export { expectation, ruleName } from "./rules/describe.ts";
export { parseRules } from "./rules/parse.ts";
export { rowNumberColumn } from "./rules/predicate.ts";
export { type Rule, ruleSchema } from "./rules/schema.ts";
export type { TableColumn } from "./rules/table-checks.ts";
export { type RowsOf, validateTable } from "./rules/validate.ts";
export { identifier, literal } from "./sql-text.ts";
export { diffTables, type RowChange, type TableDiff } from "./table-diff.ts";
