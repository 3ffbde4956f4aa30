import type { Endpoint } from "./endpoint.ts";
import type { StalledDisk } from "./stalled-disk.ts";

export interface Disturbance {
  name: string;
  happen(): Promise<void>;
}

/** How often things happen: all of the issue's, or few for a test of every day. */
export interface Frequency {
  versionChanges: number;
  routers: number;
  workers: number;
}

interface Scene extends Frequency {
  endpoint: Endpoint;
  disk: StalledDisk | undefined;
  awaitRequests(more: number): Promise<void>;
}

/** All that must not cost a request, in order. */
export function disturbances({ endpoint, disk, awaitRequests, ...often }: Scene): Disturbance[] {
  const list: Disturbance[] = [];
  const add = (name: string, happen: () => Promise<void>) => list.push({ name, happen });
  for (let change = 1; change <= often.versionChanges; change++) {
    const version = String((change % 3) + 1);
    add(`version change ${change}: to version ${version}`, () => endpoint.apply({ [version]: 1 }));
  }
  add("version 3", () => endpoint.apply({ 3: 1 }));
  add("canary of version 2 at 10 %", () => endpoint.apply({ 3: 0.9, 2: 0.1 }));
  add("canary of version 2 at 50 %", () => endpoint.apply({ 3: 0.5, 2: 0.5 }));
  add("canary of version 2 at 100 %, the old one loaded", () => endpoint.apply({ 3: 0, 2: 1 }));
  add("rollback to version 3", () => endpoint.apply({ 3: 1 }));
  add("version 1 as a shadow", async () => {
    await endpoint.apply({ 3: 1, 1: -1 });
    await awaitRequests(500);
    await endpoint.apply({ 3: 1 });
  });
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    add(`${signal} of the only model server`, () => endpoint.replaceServer(signal));
  }
  for (let turn = 1; turn <= often.routers; turn++) {
    add(`SIGTERM of the router, replaced (${turn})`, () => endpoint.replaceRouter("SIGTERM"));
  }
  add("two replicas", () => endpoint.apply({ 3: 1 }, { replicas: 2 }));
  for (const index of [0, 1]) {
    add(`kill -9 of replica ${index + 1}`, () => endpoint.replaceServer("SIGKILL", index));
    add(`SIGTERM of replica ${index + 1}`, () => endpoint.replaceServer("SIGTERM", index));
  }
  add("a version change with two replicas", () => endpoint.apply({ 1: 1 }, { replicas: 2 }));
  if (disk !== undefined) {
    add("the capture's disk answers nothing for 2,000 requests", async () => {
      await disk.stall();
      try {
        await awaitRequests(2_000);
      } finally {
        await disk.goOn();
      }
    });
  }
  if (endpoint.skippedPython === undefined) {
    add("a version that Python runs", () => endpoint.apply({ 4: 1 }));
    for (let kill = 1; kill <= often.workers; kill++) {
      add(`kill -9 of the Python worker (${kill})`, async () => {
        await endpoint.killWorker();
        await awaitRequests(20);
      });
    }
  }
  add("one replica again", () => endpoint.apply({ 1: 1 }));
  return list;
}
