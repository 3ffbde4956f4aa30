import type { ColumnTypes } from "./migration.ts";

/**
 * Points by the number of their series instead of by its three texts: a third of the size, and so quick to write that there is room for a
 * second order, by time, in which MLflow's clients page through a history.
 */
export function metricTables({ integer, real, clusteredEnd }: ColumnTypes): string[] {
  return [
    // A series is one key of one run, and `latest_metrics` has a row for each.
    `ALTER TABLE latest_metrics ADD COLUMN series_id ${integer} NOT NULL DEFAULT 0`,
    `UPDATE latest_metrics SET series_id = numbered.number FROM (
      SELECT project_id, run_id, key, row_number() OVER (ORDER BY project_id, run_id, key) AS number FROM latest_metrics) numbered
      WHERE numbered.project_id = latest_metrics.project_id AND numbered.run_id = latest_metrics.run_id
        AND numbered.key = latest_metrics.key`,
    "INSERT INTO counters (project_id, name, value) SELECT '', 'series', coalesce(max(series_id), 0) FROM latest_metrics",
    "ALTER TABLE metrics RENAME TO metrics_by_name",
    `CREATE TABLE metrics (series_id ${integer} NOT NULL, step ${integer} NOT NULL, timestamp ${integer} NOT NULL, value ${real} NOT NULL,
      is_nan ${integer} NOT NULL, PRIMARY KEY (series_id, step, timestamp, value, is_nan)) ${clusteredEnd}`,
    `INSERT INTO metrics (series_id, step, timestamp, value, is_nan)
      SELECT latest.series_id, point.step, point.timestamp, point.value, point.is_nan FROM metrics_by_name point
      JOIN latest_metrics latest ON latest.project_id = point.project_id AND latest.run_id = point.run_id AND latest.key = point.key`,
    "DROP TABLE metrics_by_name",
    "CREATE INDEX metrics_by_time ON metrics (series_id, timestamp, step, value, is_nan)",
  ];
}
