import { openRecord } from "../record.ts";
import { newRun } from "./runs.ts";

/** Writes runs and metrics for ever, and says each that was acknowledged; the test kills it. */
const [, , sqlitePath = "", first = "0"] = process.argv;
const record = await openRecord({ sqlitePath }, "project", { soleOwner: true });
for (let number = Number(first); ; number += 1) {
  const run = await record.engine.createRun(newRun({ id: `run-${number}` }));
  await record.runMetrics.log(run.id, [{ key: "written", value: number, step: number, timestamp: 1 }]);
  await record.audit.append({ actor: "writer", action: "wrote", subject: run.id, outcome: "ok" });
  // Written at once, unlike process.stdout on a pipe that is full: what is said here was acknowledged before.
  process.stdout.write(`${run.id}\n`);
}
