import type { RecordDatabase } from "../../database.ts";
import type { FilterComparison, OrderTerm } from "../filtering.ts";
import type { LifecycleStage } from "./experiments.ts";
import type { RunSearch } from "./search-run-segments.ts";

/** A run as the test knows it; what is found is checked against a plain reading of the rules over these. */
export interface KnownRun {
  id: string;
  experiment: string;
  stage: LifecycleStage;
  name: string;
  start: number;
  end: number | null;
  metrics: Record<string, number>;
  params: Record<string, string>;
  context: string | null;
}

export const plain: KnownRun = {
  id: "a",
  experiment: "1",
  stage: "active",
  name: "n",
  start: 5,
  end: null,
  metrics: {},
  params: {},
  context: null,
};

export async function store({ kysely, projectId }: RecordDatabase, runs: readonly KnownRun[]): Promise<void> {
  const project = { project_id: projectId };
  for (const run of runs) {
    const ofRun = { ...project, run_id: run.id };
    await kysely
      .insertInto("runs")
      .values({
        ...ofRun,
        experiment_id: run.experiment,
        kind: "external",
        run_name: run.name,
        user_id: "me",
        status: "FINISHED",
        lifecycle_stage: run.stage,
        start_time: run.start,
        end_time: run.end,
      })
      .execute();
    for (const [name, logged] of Object.entries(run.metrics)) {
      const isNan = Number.isNaN(logged);
      await kysely
        .insertInto("latest_metrics")
        .values({
          ...ofRun,
          key: name,
          series_id: 0,
          step: 1,
          timestamp: 1,
          value: isNan ? 0 : logged,
          is_nan: isNan ? 1 : 0,
        })
        .execute();
    }
    for (const [name, logged] of Object.entries(run.params)) {
      await kysely
        .insertInto("params")
        .values({ ...ofRun, key: name, value: logged })
        .execute();
    }
    if (run.context !== null) {
      await kysely
        .insertInto("input_tags")
        .values({ ...ofRun, dataset_id: "d", key: "mlflow.data.context", value: run.context })
        .execute();
    }
  }
}

/** The rules, one run at a time. */
export function expectedIds(runs: readonly KnownRun[], { experimentIds, stages, filter, order }: RunSearch): string[] {
  return runs
    .filter((run) => experimentIds.includes(run.experiment) && stages.includes(run.stage))
    .filter((run) => filter.every((one) => isKept(run, one)))
    .sort((a, b) => {
      for (const term of order) {
        const difference = compare(sortValue(a, term), sortValue(b, term), term.ascending);
        if (difference !== 0) return difference;
      }
      return b.start - a.start || (a.id < b.id ? -1 : 1);
    })
    .map(({ id }) => id);
}

function sortValue(run: KnownRun, { entity, key }: OrderTerm): string | number | null {
  if (entity === "metric") return run.metrics[key] ?? null;
  if (entity === "parameter") return run.params[key] ?? null;
  return attribute(run, key);
}

function attribute(run: KnownRun, key: string): string | number | null {
  if (key === "start_time") return run.start;
  if (key === "end_time") return run.end;
  return key === "run_id" ? run.id : run.name;
}

function compare(a: string | number | null, b: string | number | null, ascending: boolean): number {
  const rank = (one: string | number | null): number => (one === null ? 2 : Number.isNaN(one) && one !== "" ? 1 : 0);
  const kinds = [a, b].map((one) => (typeof one === "string" ? 0 : rank(one)));
  const [first = 0, second = 0] = kinds;
  if (first !== second) return first - second;
  if (first > 0 || a === b || a === null || b === null) return 0;
  return (a < b ? -1 : 1) * (ascending ? 1 : -1);
}

function isKept(run: KnownRun, { entity, key, operator, value: wanted }: FilterComparison): boolean {
  if (entity === "dataset") return run.context !== null && (operator === "=") === (run.context === wanted);
  const found = entity === "metric" ? run.metrics[key] : entity === "parameter" ? run.params[key] : attribute(run, key);
  if (operator === "IS NULL") return found === undefined;
  if (found === undefined || found === null) return false;
  if (operator === "IS NOT NULL") return true;
  if (operator === "IN" || operator === "NOT IN") {
    return (wanted as string[]).includes(String(found)) === (operator === "IN");
  }
  if (operator === "LIKE" || operator === "ILIKE") {
    const pattern = String(wanted).replaceAll("%", ".*").replaceAll("_", ".");
    return new RegExp(`^${pattern}$`, operator === "ILIKE" ? "is" : "s").test(String(found));
  }
  const other = wanted as number | bigint | string;
  if (operator === "=") return found === other;
  if (operator === "!=") return found !== other;
  if (operator === ">") return found > other;
  if (operator === ">=") return found >= other;
  return operator === "<" ? found < other : found <= other;
}
