import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mlflowPrograms, mlflowVersions } from "../scripts/servers/mlflow-environment.ts";
import { startPostgres } from "../scripts/servers/postgres.ts";
import { artifact } from "./mlflow/artifact.ts";
import { clientLoad } from "./mlflow/client-load.ts";
import { history } from "./mlflow/history.ts";
import { http } from "./mlflow/http.ts";
import { idle } from "./mlflow/idle.ts";
import { missing } from "./mlflow/missing.ts";
import type { Part, PartContext } from "./mlflow/parts.ts";
import { createResults } from "./mlflow/results.ts";
import { search } from "./mlflow/search.ts";
import { createDatabase, startEspalier, startNull, startStock, type Target } from "./mlflow/targets.ts";

/**
 * `npm run bench:mlflow -- [part...]`: MLflow's own server and Espalier in one run, on SQLite and on PostgreSQL, under the same client and
 * the same load, one server at a time. Prints tables in Markdown; asserts nothing. `--scale 0.01` makes data and files small, `--seconds`
 * sets how long each timed load runs, `--database sqlite` takes one database only, `--system espalier` one server only, and `--workers`
 * sets the processes of MLflow's server.
 */
const parts: Readonly<Record<string, { title: string; run: Part }>> = {
  idle: { title: "Start and idle memory", run: idle },
  client: { title: "Logging with MLflow's client", run: clientLoad },
  http: { title: "Requests without a client", run: http },
  missing: { title: "A model by its run", run: missing },
  history: { title: "History of a metric", run: history },
  artifact: { title: "One large artifact", run: artifact },
  search: { title: "Search", run: search },
};
const { values: options, positionals } = parseArgs({
  options: {
    scale: { type: "string", default: "1" },
    seconds: { type: "string", default: "8" },
    database: { type: "string" },
    system: { type: "string" },
    workers: { type: "string" },
  },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`There is no part ${unknown.join(", ")}; there are: ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}
const backends = ["SQLite", "PostgreSQL"] as const;
if (options.database !== undefined && !backends.some((one) => one.toLowerCase() === options.database?.toLowerCase())) {
  console.error(`There is no database ${options.database}; there are: ${backends.join(", ")}`);
  process.exit(2);
}
const asked = Object.entries(parts).filter(([name]) => positionals.length === 0 || positionals.includes(name));
const programs = await mlflowPrograms(mlflowVersions[0]);
if ("skipped" in programs) throw new Error(programs.skipped);
const python = join(programs.bin, "python");
const results = createResults();
const scratch = mkdtempSync(join(tmpdir(), "espalier-bench-mlflow-"));
const base = { python, scale: Number(options.scale), seconds: Number(options.seconds) };

async function measure(target: Target, backend: PartContext["backend"], folder: string): Promise<void> {
  for (const [name, part] of asked) {
    const started = performance.now();
    try {
      results.add(part.title, backend, target.system, await part.run({ ...base, target, backend, folder }));
    } catch (error) {
      // The other parts' figures are not lost for it.
      console.error(`${backend}, ${target.system}, ${name} failed:`, error);
      process.exitCode = 1;
    }
    console.error(`${backend}, ${target.system}, ${name}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
}

/** Once to make its database, so that its start is measured as an operator meets it; and then for the measures. */
async function twice(start: () => Promise<Target>, backend: PartContext["backend"], folder: string): Promise<void> {
  await (await start()).stop();
  const target = await start();
  try {
    await measure(target, backend, folder);
  } finally {
    await target.stop();
  }
}

async function compare(backend: PartContext["backend"]): Promise<void> {
  const postgres = backend === "PostgreSQL" ? await startPostgres() : undefined;
  if (postgres !== undefined && "skipped" in postgres) {
    console.log(`PostgreSQL is skipped: ${postgres.skipped}`);
    return;
  }
  try {
    for (const [name, start] of [
      ["espalier", startEspalier],
      ["mlflow", startStock],
    ] as const) {
      if ((options.system ?? name) !== name) continue;
      const folder = join(scratch, `${backend}-${name}`);
      mkdirSync(folder);
      const database = postgres === undefined ? {} : { databaseUrl: createDatabase(python, postgres.url, name) };
      const workers = options.workers === undefined ? {} : { workers: Number(options.workers) };
      await twice(() => start({ folder, ...database, ...workers }), backend, folder);
      rmSync(folder, { recursive: true, force: true });
    }
  } finally {
    await postgres?.stop();
  }
}

try {
  if (asked.some(([name]) => name === "client")) {
    const target = await startNull();
    try {
      const context = { ...base, target, backend: "SQLite" as const, folder: scratch };
      results.add(parts["client"]?.title ?? "", "none", target.system, await clientLoad(context));
    } finally {
      await target.stop();
    }
  }
  for (const backend of backends) {
    if ((options.database ?? backend).toLowerCase() === backend.toLowerCase()) await compare(backend);
  }
  const machine = `${cpus().length} x ${cpus()[0]?.model}, Node ${process.versions.node}, load average ${loadavg()[0]?.toFixed(1)}`;
  const stock = `MLflow ${mlflowVersions[0]} with ${options.workers ?? "its default of 4"} workers, its job runner off`;
  console.log(`${machine}; ${stock}; scale ${options.scale}\n\n${results.markdown()}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
