import { copyFileSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { openDuckDb } from "@espalier/embedded";
import { writeProject } from "./plane.ts";

/**
 * Real flights through built-in and Python steps, and shell steps over generated rows: files, trees, tables, values, a map, retries, a
 * checkpoint, a `when:`, a record step. Every output is exact.
 */
const pipeline = {
  name: "faults",
  params: { rows: 30_000 },
  steps: {
    rows: {
      run: "awk -v n=${{ params.rows }} 'BEGIN { x = 7; for (i = 0; i < n; i++) { x = (x * 1103515245 + 12345) % 2147483648; print i \",\" x % 1000 } }' >${{ outputs.rows }}",
      outputs: { rows: "file" },
    },
    split: {
      run: "sh split.sh ${{ inputs.rows }} ${{ outputs.parts }} >${{ outputs.names }}",
      source: "./src",
      inputs: { rows: "rows.rows" },
      outputs: { parts: "tree", names: "value" },
    },
    sums: {
      run: "awk -F, '{ s += $2 } END { print s }' ${{ inputs.parts }}/${{ params.part }} >${{ outputs.sum }}",
      inputs: { parts: "split.parts" },
      map: { over: "split.names", as: "part", concurrency: 2 },
      outputs: { sum: "file" },
    },
    total: {
      run: "cat ${{ inputs.sums }}/* | awk '{ s += $1 } END { print s }' >${{ outputs.total }}",
      inputs: { sums: "sums.sum" },
      outputs: { total: "value" },
    },
    // Fails until its checkpoint has three lines, whatever attempts were killed in between.
    train: {
      run: 'echo x >>${{ checkpoint.dir }}/epochs; [ "$(wc -l <${{ checkpoint.dir }}/epochs)" -ge 3 ] || exit 3; sort ${{ inputs.rows }} | tail -n 5 >${{ outputs.model }}; echo \'{"type":"metric","key":"loss","value":1}\' >>"$ESPALIER_EVENTS"',
      inputs: { rows: "rows.rows" },
      checkpoint: true,
      retry: { attempts: 20, delay: "10ms", backoff: 1 },
      outputs: { model: "file" },
    },
    checked: { uses: "validate", inputs: { data: "./data/flights.parquet", rules: "./rules.yaml" } },
    hours: {
      uses: "sql",
      inputs: { flights: "checked.data", script: "./hours.sql" },
      outputs: { hours: "file" },
    },
    worst: {
      run: "python3 worst.py ${{ inputs.hours }} >${{ outputs.worst }}",
      source: "./src",
      inputs: { hours: "hours.hours" },
      outputs: { worst: "value" },
    },
    never: { run: "false", when: "total.total < 0" },
    log: { uses: "dataset", inputs: { file: "sums.sum" }, with: { name: "totals" } },
    last: {
      run: "cat ${{ inputs.model }} >${{ outputs.out }}",
      inputs: { model: "train.model" },
      needs: ["log"],
      outputs: { out: "file" },
    },
  },
};

/** The project that fault scenarios run. */
const faultFiles = {
  "espalier.yaml": "project: faults\n",
  // JSON is YAML.
  "pipelines/faults.yaml": JSON.stringify(pipeline, null, 2),
  "rules.yaml": JSON.stringify({
    rules: [
      { rule: "not_null", column: "delay", severity: "quarantine" },
      { rule: "range", column: "delay", min: -20, max: 1440, severity: "quarantine" },
    ],
  }),
  "hours.sql": `CREATE TABLE hours AS
SELECT hour(date) AS hour, count(*) AS flights, avg(CAST(delay > 15 AS INTEGER)) AS late FROM flights GROUP BY 1 ORDER BY 1;
`,
  "src/worst.py": `import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1])))
worst = max(rows, key=lambda row: float(row["late"]))
print(json.dumps({"hour": int(worst["hour"]), "late": float(worst["late"]), "flights": sum(int(row["flights"]) for row in rows)}))
`,
  "src/split.sh": `mkdir "$2"
awk -F, -v to="$2" '{ print > (to "/part" $1 % 4) }' "$1"
echo '["part0","part1","part2","part3"]'
`,
};

const allFlights = resolve(import.meta.dirname, "../../node_modules/vega-datasets/data/flights-3m.parquet");

/** The first so many of three million flights, as a Parquet file. */
export async function cutFlights(path: string, rows: number): Promise<void> {
  const database = await openDuckDb({ threads: 1 });
  try {
    await database.run(`COPY (SELECT * FROM '${allFlights}' LIMIT ${rows}) TO '${path}' (FORMAT parquet)`);
  } finally {
    await database.close();
  }
}

/** The project of the fault scenarios, made anew; `flights` is what `cutFlights` wrote. */
export function writeFaultProject(folder: string, flights: string): void {
  writeProject(folder, faultFiles);
  mkdirSync(join(folder, "data"));
  copyFileSync(flights, join(folder, "data/flights.parquet"));
}
