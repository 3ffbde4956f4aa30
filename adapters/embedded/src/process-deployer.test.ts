import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { deployerConformance, logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { digestOfBytes, type EndpointSpec } from "@espalier/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { compactCapture } from "./capture-compaction.ts";
import { openDuckDb } from "./duckdb-client.ts";
import { createProcessDeployer, type ProcessDeployer } from "./process-deployer.ts";

const servingEntry = fileURLToPath(new URL("../../../apps/serving/src/main.ts", import.meta.url));

deployerConformance(
  { describe, it, expect },
  {
    async open() {
      const directory = await mkdtemp(join(tmpdir(), "espalier-endpoints-"));
      const deployer = createProcessDeployer({ directory, servingEntry });
      return {
        deployer,
        async close() {
          await deployer.close();
          await rm(directory, { recursive: true, force: true });
        },
      };
    },
  },
);

/** Waits for a condition, not for a time: only a test that fails reaches the end. */
async function until<Value>(look: () => Promise<Value | undefined>): Promise<Value> {
  for (let tries = 0; tries < 600; tries++) {
    const value = await look();
    if (value !== undefined) return value;
    await delay(50);
  }
  throw new Error("it did not happen");
}

describe("process deployer", () => {
  let root: string;
  let deployer: ProcessDeployer;
  let spec: EndpointSpec;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "espalier-deployer-"));
    const bytes = logisticModel([1, 1], 0);
    const path = await writeModelFolder(join(root, "model"), bytes, matrixSignature(["a", "b"]));
    const version = { version: "7", model: "tiny", digest: digestOfBytes(bytes), path, weight: 1 };
    spec = { name: "one", generation: 1, versions: [version], captureRate: 1, port: 0 };
    deployer = createProcessDeployer({ directory: join(root, "endpoints"), servingEntry });
  });
  afterEach(async () => {
    await deployer.delete("one");
    await deployer.close();
    await rm(root, { recursive: true, force: true });
  });

  const predict = (url: string, rows: number[][], headers: Record<string, string> = {}) =>
    fetch(`${url}/invocations`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ instances: rows }),
    });
  const announced = async (...parts: string[]) =>
    JSON.parse(await readFile(join(root, "endpoints", "one", ...parts, "announce.json"), "utf8")) as { pid: number };
  const serverFolder = () => ["versions", `tiny-7-${spec.versions[0]?.digest.slice(7, 19)}`];

  it("brings back a model server and a router that were killed", async () => {
    const { url } = await deployer.apply(spec);
    process.kill((await announced(...serverFolder())).pid, "SIGKILL");
    await until(async () => ((await predict(url, [[0, 0]])).ok ? true : undefined));
    process.kill((await announced("router")).pid, "SIGKILL");
    await until(async () => ((await predict(url, [[0, 0]]).catch(() => undefined))?.ok ? true : undefined));
    expect(await deployer.status("one")).toMatchObject({ ready: true, url });
  });

  it("keeps serving when the control plane is away, and is taken over by the next", async () => {
    const { url } = await deployer.apply(spec);
    const before = await announced(...serverFolder());
    await deployer.close();
    expect((await predict(url, [[0, 0]])).status).toBe(200);
    deployer = createProcessDeployer({ directory: join(root, "endpoints"), servingEntry });
    expect(await deployer.apply(spec)).toMatchObject({ url, ready: true });
    expect(await announced(...serverFolder())).toEqual(before);
  });

  it("names a port that is taken, before it starts anything", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    await expect(deployer.apply({ ...spec, port })).rejects.toMatchObject({ code: "PORT_IN_USE", details: { port } });
    expect(await deployer.status("one")).toBeUndefined();
    await new Promise((resolve) => other.close(resolve));
  });

  it("captures rows with their ids, times and scores, and compacts them to Parquet", async () => {
    const { url } = await deployer.apply(spec);
    const headers = { "x-espalier-prediction-id": "flight-1", "x-espalier-event-time": "2001-04-01T12:00:00Z" };
    const answer = await predict(
      url,
      [
        [0, 0],
        [1, 1],
      ],
      headers,
    );
    expect(answer.headers.get("x-espalier-prediction-id")).toBe("flight-1");
    expect((await predict(url, [[2, 2]], { ...headers, "x-espalier-event-time": "yesterday" })).status).toBe(400);
    await deployer.flushCapture("one");
    const compacted = await compactCapture(deployer.captureDirectory("one"));
    expect(compacted).toMatchObject({ skipped: [], files: [{ model: "tiny", version: "7", rows: 2 }] });
    const duckDb = await openDuckDb({ threads: 1 });
    const rows = await duckDb.rows(
      `SELECT * EXCLUDE served_at FROM '${compacted.files[0]?.path}' ORDER BY prediction_id`,
    );
    await duckDb.close();
    expect(rows).toMatchObject([
      { prediction_id: "flight-1-0", model: "tiny", version: "7", a: 0, b: 0, score: 0.5 },
      { prediction_id: "flight-1-1", a: 1, b: 1 },
    ]);
    expect(String(rows[0]?.event_time)).toContain("2001-04-01 12:00:00");
    expect(await compactCapture(deployer.captureDirectory("one"))).toEqual({ files: [], skipped: [] });
  });
});
