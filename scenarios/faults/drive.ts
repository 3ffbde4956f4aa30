import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalFiles } from "@espalier/embedded";
import { createPythonEnvironments, prepareRun } from "@espalier/host";
import { faultPipeline, noteStep } from "./pipeline.ts";
import { openPlane } from "./plane.ts";

/**
 * The process that the fault scripts kill: `drive.ts <project folder> <run id> <rows>` creates the run, or takes up where another was
 * killed, and ends with it. Prints the run's state.
 */
const [folder = ".", runId = "", rows = "0"] = process.argv.slice(2);
const notes = join(folder, "notes");
mkdirSync(notes, { recursive: true });
const plane = await openPlane(
  folder,
  noteStep((key) => {
    const path = join(notes, key.replace(":", "-"));
    if (!existsSync(path)) writeFileSync(path, "");
  }),
);
if ((await plane.record.engine.run(runId)) === undefined) {
  const run = await prepareRun(
    {
      projectFolder: folder,
      stateFolder: plane.stateFolder,
      pipeline: faultPipeline(Number(rows)),
      params: {},
      stack: "laptop",
      trigger: { kind: "manual", by: "faults" },
      id: runId,
    },
    {
      artifacts: plane.artifacts,
      files: createLocalFiles(),
      builtins: {},
      environments: createPythonEnvironments(),
      resolve: async () => null,
    },
  );
  await plane.record.engine.createRun(run);
}
await plane.engine.start();
console.log((await plane.engine.finished(runId))?.state);
await plane.close();
