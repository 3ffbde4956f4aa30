import { pino } from "pino";
import { startControlPlane } from "../../../start.ts";

/** A control plane in a process of its own, which says its address; the test kills it. */
const [, , projectDirectory = ""] = process.argv;
const plane = await startControlPlane({ projectDirectory, databaseUrl: "", logger: pino({ level: "fatal" }) });
process.stdout.write(`${plane.url}\n`);
