import { runTypescriptStep } from "./typescript-step.ts";

/** Runs one exported TypeScript step by the step contract: `node typescript-step-main.ts ./module.ts#export`, inside its source folder. */
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
process.exitCode = await runTypescriptStep(process.argv[2] ?? "", process.env, process.cwd(), stop.signal);
// A step that was told to stop, or that has ended, must not be kept alive by what it left open.
process.exit();
