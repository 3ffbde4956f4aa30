import { startControlPlane } from "@espalier/server";

/** `plane-main.ts <project folder> <database URL>`: one of several control planes of a project. Prints its address and token, and stays. */
const [projectDirectory = ".", databaseUrl = ""] = process.argv.slice(2);
const plane = await startControlPlane({ projectDirectory, databaseUrl, port: 0 });
console.log(JSON.stringify({ url: plane.url, token: plane.token }));
process.once("SIGTERM", () => void plane.close());
