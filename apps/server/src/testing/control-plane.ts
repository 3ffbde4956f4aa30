import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Client, createClient } from "@espalier/contract";
import { pino } from "pino";
import { afterEach } from "vitest";
import { type StartedControlPlane, type StartOptions, startControlPlane } from "../start.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A project in a temporary folder; text by path. */
export async function makeProject(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "espalier-server-"));
  closers.push(async () => {
    await stopServing(directory);
    await rm(directory, { recursive: true, force: true });
  });
  for (const [path, text] of Object.entries({ "espalier.yaml": "project: flights\n", ...files })) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  return directory;
}

/** Endpoints outlive their control plane, as they should, and must not outlive the test. */
async function stopServing(directory: string): Promise<void> {
  const files = glob("endpoints/*/**/process.json", { cwd: join(directory, ".espalier") });
  for await (const file of files) {
    const { pid } = JSON.parse(await readFile(join(directory, ".espalier", file), "utf8")) as { pid: number };
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(directory)) process.kill(pid, "SIGKILL");
  }
}

/** A real control plane on a free port, closed after the test. */
export async function startForTest(
  projectDirectory: string,
  options: Partial<StartOptions> = {},
): Promise<StartedControlPlane & { client: Client }> {
  const plane = await startControlPlane({
    projectDirectory,
    databaseUrl: "",
    logger: pino({ level: process.env["ESPALIER_LOG"] ?? "fatal" }),
    ...options,
  });
  closers.push(() => plane.close());
  return { ...plane, client: createClient({ url: plane.url, token: plane.token }) };
}

/** Follows a run's events to its end. */
export async function runToEnd(client: Client, runId: string): Promise<string[]> {
  const types: string[] = [];
  for await (const event of client.events("runs.events", { params: { runId } })) types.push(event.data.type);
  return types;
}
