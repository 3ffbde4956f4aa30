import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { openDuckDb } from "@espalier/embedded";

const flights = resolve(import.meta.dirname, "../../node_modules/vega-datasets/data/flights-3m.parquet");

/** Ten days of real flights, 2,900 a day, behind a model that expects far too many late ones: its monitor has something to say. */
export const days = 10;
export const rowsADay = 2_900;

export async function writeSimulationProject(folder: string): Promise<void> {
  for (const name of ["data", "pipelines", "simulations", "sql"]) {
    await mkdir(join(folder, name), { recursive: true });
  }
  const database = await openDuckDb({ threads: 1 });
  await database.run(
    `COPY (SELECT date, hour(date)::DOUBLE AS hour, distance::DOUBLE AS distance, (delay > 15)::INT AS late
       FROM (SELECT *, row_number() OVER (PARTITION BY CAST(date AS DATE) ORDER BY date, origin, destination, delay, distance) AS place
         FROM read_parquet('${flights}') WHERE date >= '2001-04-01' AND date < '2001-04-11')
       WHERE place % 5 = 0 AND place <= ${5 * rowsADay} ORDER BY date, hour, distance, late)
     TO '${join(folder, "data/flights.parquet")}' (FORMAT parquet)`,
  );
  await database.close();
  await writeModelFolder(join(folder, "model"), logisticModel([0, 0], 0), matrixSignature(["hour", "distance"]));
  const files = {
    "espalier.yaml": {
      project: "simulated",
      endpoints: { flights: { capture_rate: 1 } },
      monitors: {
        calibration: {
          endpoint: "flights",
          kind: "performance",
          window: "3d",
          thresholds: { bias: 0.05 },
          with: { label_delay: "2d", min_rows: 1000, windows_in_a_row: 2, cooldown: "3.5d" },
          pipeline: "train",
          params: { as_of: "${{ run.date }}" },
        },
        inputs: {
          endpoint: "flights",
          kind: "drift",
          window: "3d",
          thresholds: { psi: 0.2 },
          with: { reference: "features.train", columns: ["hour", "distance"], min_rows: 1000 },
        },
      },
    },
    "pipelines/train.yaml": {
      name: "train",
      params: { as_of: "2001-04-01" },
      schedule: { cron: "0 6 5 * *", params: { as_of: "${{ run.date }}" } },
      steps: {
        features: {
          uses: "sql",
          inputs: { flights: "./data/flights.parquet", script: "./sql/train.sql" },
          outputs: { train: "parquet" },
        },
        fit: {
          run: "cp -R . ${{ outputs.model }}",
          source: "./model",
          inputs: { train: "features.train" },
          outputs: { model: { type: "model", determinism: "exact" } },
        },
        register: { uses: "register", inputs: { model: "fit.model" }, with: { name: "coin" }, gate: "none" },
        deploy: { uses: "deploy", inputs: { model: "register.version" }, with: { endpoint: "flights" }, gate: "none" },
      },
    },
    "pipelines/traffic.yaml": {
      name: "traffic",
      steps: {
        features: {
          uses: "sql",
          inputs: { flights: "./data/flights.parquet", script: "./sql/traffic.sql" },
          outputs: { traffic: "parquet" },
        },
      },
    },
    "simulations/april.yaml": {
      endpoint: "flights",
      from: "2001-04-01",
      to: "2001-04-11",
      traffic: { pipeline: "traffic", output: "features.traffic", time: "date" },
      labels: { column: "late", delay_days: 2 },
      single_share: 0.05,
      batch_rows: 500,
      seed: 5,
    },
  };
  // JSON is YAML.
  for (const [path, content] of Object.entries(files))
    await writeFile(join(folder, path), JSON.stringify(content, null, 2));
  await writeFile(join(folder, "sql/train.sql"), "CREATE VIEW train AS SELECT hour, distance, late FROM flights;\n");
  await writeFile(join(folder, "sql/traffic.sql"), "CREATE VIEW traffic AS SELECT * FROM flights;\n");
}
