import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { digestOfBytes, type EndpointSpec, type EndpointStatus, type ServedVersion } from "@espalier/core";
import { createProcessDeployer } from "@espalier/embedded";
import type { Expected } from "./load.ts";
import { childrenOf, pythonVersion } from "./python-version.ts";

export const endpointName = "soak";
const servingEntry = fileURLToPath(new URL("../../apps/serving/src/main.ts", import.meta.url));

/** An endpoint of the embedded deployer with versions that answer differently, and ways to harm it. */
export async function createEndpoint(root: string) {
  const directory = join(root, "endpoints");
  const folder = join(directory, endpointName);
  const deployer = createProcessDeployer({ directory, servingEntry });
  const models = new Map<string, Omit<ServedVersion, "weight">>();
  for (const number of [1, 2, 3]) {
    const bytes = logisticModel([1, 0.5], number);
    const path = await writeModelFolder(join(root, "models", String(number)), bytes, matrixSignature(["a", "b"]));
    models.set(String(number), { version: String(number), model: endpointName, digest: digestOfBytes(bytes), path });
  }
  const python = await pythonVersion(root, endpointName);
  if (!("skipped" in python)) models.set(python.version, python);
  let generation = 0;
  let status: EndpointStatus | undefined;

  async function apply(weights: Readonly<Record<string, number>>, more: Partial<EndpointSpec> = {}): Promise<void> {
    const versions = Object.entries(weights).map(([number, weight]): ServedVersion => {
      const model = models.get(number);
      if (model === undefined) throw new Error(`there is no version ${number}`);
      return weight < 0 ? { ...model, weight: 0, mirror: -weight } : { ...model, weight };
    });
    generation++;
    status = await deployer.apply({ name: endpointName, generation, versions, captureRate: 1, port: 0, ...more });
  }

  async function pidIn(...parts: string[]): Promise<number | undefined> {
    const text = await readFile(join(folder, ...parts, "announce.json"), "utf8").catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as { pid?: number }).pid;
  }

  async function serverPids(): Promise<number[]> {
    const names = (await readdir(join(folder, "versions"))).sort();
    const pids = await Promise.all(names.map((name) => pidIn("versions", name)));
    return pids.filter((pid) => pid !== undefined);
  }

  /** Signals a process and waits until another has its place and the endpoint is whole again. */
  async function replaceAfter(signal: NodeJS.Signals, find: () => Promise<number | undefined>): Promise<void> {
    const before = await find();
    if (before === undefined) throw new Error("there is nothing to signal");
    process.kill(before, signal);
    await until(`another takes the place of ${before}`, async () => {
      const now = await find();
      if (now === undefined || now === before) return false;
      const seen = await deployer.status(endpointName);
      return seen?.ready === true && seen.versions.every(({ replicas }) => replicas?.ready === replicas?.wanted);
    });
  }

  /** Kills the Python worker of the first server, and waits until it has another. */
  async function killWorker(): Promise<void> {
    const worker = async () => (await Promise.all((await serverPids()).map(childrenOf))).flat()[0];
    const before = await worker();
    if (before === undefined) throw new Error("there is no Python worker");
    process.kill(before, "SIGKILL");
    await until(`another worker takes the place of ${before}`, async () => {
      const now = await worker();
      return now !== undefined && now !== before;
    });
  }

  return {
    deployer,
    folder,
    skippedPython: "skipped" in python ? python.skipped : undefined,
    apply,
    killWorker,
    url: () => status?.url ?? "",
    serverPids,
    replaceServer: (signal: NodeJS.Signals, index = 0) => replaceAfter(signal, async () => (await serverPids())[index]),
    replaceRouter: (signal: NodeJS.Signals) => replaceAfter(signal, () => pidIn("router")),
    async close() {
      await deployer.delete(endpointName);
      await deployer.close();
    },
  };
}

export type Endpoint = Awaited<ReturnType<typeof createEndpoint>>;

export const expected: Expected = new Map(
  [1, 2, 3, 4].map((number) => [String(number), (a: number, b: number) => 1 / (1 + Math.exp(-(a + 0.5 * b + number)))]),
);

/** Waits for a condition; only what fails reaches the end. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    if (await holds()) return;
    await delay(25);
  }
  throw new Error(`it did not happen within 120 s: ${what}`);
}
