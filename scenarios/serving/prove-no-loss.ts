import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { routerStatusSchema } from "@espalier/core";
import { compactCapture } from "@espalier/embedded";
import { disturbances, type Frequency } from "./disturbances.ts";
import { createEndpoint, type Endpoint, endpointName, expected } from "./endpoint.ts";
import { startLoad, type Tally } from "./load.ts";
import { mountDisk } from "./stalled-disk.ts";

export interface ProofOptions extends Frequency {
  /** At least so many requests, the disturbances spread over them. */
  requests: number;
  callers: number;
  log(line: string): void;
}

export interface Proof extends Tally {
  retries: number;
  capturedRows: number;
  disturbances: number;
  skipped: string[];
  seconds: number;
}

/** Load on an endpoint while everything happens to it that an operator or a machine may do. */
export async function proveNoLoss({ requests, callers, log, ...often }: ProofOptions): Promise<Proof> {
  const root = await mkdtemp(join(tmpdir(), "espalier-soak-"));
  const endpoint = await createEndpoint(root);
  const mounted = await mountDisk(join(root, "disk.img"), join(endpoint.folder, "capture"));
  const disk = "skipped" in mounted ? undefined : mounted;
  const skipped = ["skipped" in mounted ? mounted.skipped : undefined, endpoint.skippedPython].filter(
    (reason) => reason !== undefined,
  );
  const started = performance.now();
  try {
    await endpoint.apply({ 1: 1 });
    const load = startLoad(endpoint.url, expected, callers);
    const awaitRequests = (more: number) => load.reach(load.tally().requests + more);
    const list = disturbances({ endpoint, disk, awaitRequests, ...often });
    const retries = new Map<number, number>();
    for (const [index, { name, happen }] of list.entries()) {
      await load.reach(Math.floor((requests * index) / list.length));
      await happen();
      const { requests: answered, failures } = load.tally();
      await noteRetries(endpoint.url(), retries);
      log(`${String(index + 1).padStart(2)}/${list.length}  ${answered} requests, ${failures} failed  ${name}`);
    }
    await load.reach(requests);
    const tally = await load.stop();
    await noteRetries(endpoint.url(), retries);
    return {
      ...tally,
      capturedRows: await capturedRows(endpoint),
      retries: [...retries.values()].reduce((sum, count) => sum + count, 0),
      disturbances: list.length,
      skipped,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await endpoint.close();
    await disk?.unmount();
    await rm(root, { recursive: true, force: true });
  }
}

/** By process of the router: each began to count when it took over. What one did after the last look is not seen. */
async function noteRetries(url: string, retries: Map<number, number>): Promise<void> {
  const { pid, versions } = routerStatusSchema.parse(await (await fetch(`${url}/status`)).json());
  retries.set(
    pid,
    versions.reduce((sum, { retries: count = 0 }) => sum + count, 0),
  );
}

async function capturedRows({ deployer, folder }: Endpoint): Promise<number> {
  await deployer.flushCapture(endpointName);
  const { files } = await compactCapture(join(folder, "capture"));
  return files.reduce((sum, { rows }) => sum + rows, 0);
}
