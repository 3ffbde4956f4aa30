import { errorTable } from "@espalier/core";
import { runDataBuiltin } from "./steps/run-builtin.ts";

/** Runs one `data` built-in step by the step contract: `node builtin-step-main.ts <name>`. The exit code is that of the error table. */
const stop = new AbortController();
process.once("SIGTERM", () => {
  stop.abort();
  // DuckDB and onnxruntime work on threads of their own and would keep the process alive beyond the grace period.
  process.exit(errorTable.CANCELLED.exitCode);
});
process.exitCode = await runDataBuiltin(process.argv[2], process.env, stop.signal);
