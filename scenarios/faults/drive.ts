import { createClient } from "@espalier/contract";
import { startControlPlane } from "@espalier/server";

/**
 * The process that fault scenarios kill: `drive.ts <project folder> <run id> <rows>` is the project's control plane; it creates the run,
 * or takes it up where another was killed, and ends with it. Prints the run's state.
 */
const [projectDirectory = ".", id = "", rows = "0"] = process.argv.slice(2);
const plane = await startControlPlane({ projectDirectory, databaseUrl: "" });
const client = createClient({ url: plane.url, token: plane.token });
await client.call("runs.create", { body: { pipeline: "faults", id, params: { rows } } });
await plane.idle(0);
const { run } = await client.call("runs.get", { params: { runId: id } });
console.log(run.state);
await plane.close();
