import { enableCompileCache } from "node:module";

/** Runs one `data` built-in step by the step contract: `node builtin-step-main.ts <name>`. The exit code is that of the error table. */
// Must come before anything else is loaded: a step of a few milliseconds would otherwise wait longest for its own source to compile.
enableCompileCache();
const [{ errorTable }, { runDataBuiltin }] = await Promise.all([
  import("@espalier/core"),
  import("./steps/run-builtin.ts"),
]);
const stop = new AbortController();
process.once("SIGTERM", () => {
  stop.abort();
  // DuckDB and onnxruntime work on threads of their own and would keep the process alive beyond the grace period.
  process.exit(errorTable.CANCELLED.exitCode);
});
process.exitCode = await runDataBuiltin(process.argv[2], process.env, stop.signal);
