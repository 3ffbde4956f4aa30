import { fileURLToPath } from "node:url";

const entries = {
  /** The model server and router. */
  serving: { source: "../../../apps/serving/src/main.ts", built: "./serving.js" },
  /** The model server as it goes into images: a folder; in a checkout the program that makes it. */
  "serving-image": { source: "../../../scripts/bundle-serving.ts", built: "./serving-image" },
  /** Runs one `data` built-in step by the step contract. */
  "builtin-step": { source: "../../../adapters/embedded/src/builtin-step-main.ts", built: "./builtin-step.js" },
  /** Runs one exported TypeScript step by the step contract. */
  "typescript-step": { source: "./typescript-step-main.ts", built: "./typescript-step.js" },
  /** A worker thread, not a process: reads of the record off the event loop. */
  "record-reader": { source: "../../../apps/server/src/db/reader/reader-worker-main.ts", built: "./record-reader.js" },
  cli: { source: "../../../apps/cli/src/main.ts", built: "./espalier.js" },
  /** Goes into model folders that are rendered for MLflow's clients. */
  "onnx-loader": { source: "../../../python/espalier_onnx.py", built: "./espalier_onnx.py" },
  /** Runs launchers as Ray tasks. */
  "ray-driver": { source: "../../../python/ray_driver.py", built: "./ray_driver.py" },
  /** The built web UI: a folder. */
  web: { source: "../../../apps/web/dist", built: "./web" },
  /** Goes beside exported DAGs, and into exported workflows. */
  "orchestrated-run": { source: "../../../python/espalier_run.py", built: "./espalier_run.py" },
  "airflow-operators": { source: "../../../python/espalier_airflow.py", built: "./espalier_airflow.py" },
  launcher: { source: "../../../python/launcher.py", built: "./launcher.py" },
} as const;

/** Absolute path of a program that Espalier starts as a process of its own, in a checkout and in the built package alike. */
export function entryPoint(name: keyof typeof entries): string {
  const runsFromSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(new URL(runsFromSource ? entries[name].source : entries[name].built, import.meta.url));
}

/** Where the examples lie that `espalier init` copies. */
export function examplesDirectory(): string {
  const runsFromSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(new URL(runsFromSource ? "../../../examples" : "./examples", import.meta.url));
}
