import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { digestOfBytes } from "@espalier/core";
import { afterEach, expect, test, vi } from "vitest";
import { makeProject, startForTest } from "../../testing/control-plane.ts";
import { filesBelow, wire } from "./testing/wire.ts";

let serving: ChildProcess | undefined;
afterEach(() => serving?.kill("SIGKILL"));

test("a control plane that is killed in the middle of an upload publishes nothing of it, and clears it away", async () => {
  const directory = await makeProject({});
  const spool = join(directory, ".espalier/uploads");
  const blobs = join(directory, ".espalier/store/blobs");
  serving = spawn(process.execPath, [fileURLToPath(new URL("./testing/serve.ts", import.meta.url)), directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: serving.stdout ?? process.stdin });
  const [killed] = (await once(lines, "line")) as [string];
  const body = JSON.stringify({ experiment_id: "0" });
  const made = await wire(killed, "POST", "/api/2.0/mlflow/runs/create", body, { "content-type": "application/json" });
  const path = `/api/2.0/mlflow-artifacts/artifacts/0/${made.json().run.info.run_id}/artifacts`;
  expect((await wire(killed, "PUT", `${path}/whole`, "whole")).status).toBe(200);

  const { hostname, port } = new URL(killed);
  const headers = { "content-length": 10_000_000 };
  const sent = request({ hostname, port, method: "PUT", path: `${path}/half`, headers });
  sent.on("error", () => undefined);
  sent.write(Buffer.alloc(5_000_000));
  await vi.waitFor(async () => {
    const [name = ""] = await filesBelow(spool);
    expect((await stat(join(spool, name))).size).toBeGreaterThan(4_000_000);
  }, 10_000);
  const ended = once(serving, "exit");
  serving.kill("SIGKILL");
  await ended;

  const { url } = await startForTest(directory);
  const whole = digestOfBytes(Buffer.from("whole")).slice("sha256:".length);
  expect((await filesBelow(blobs)).map((name) => name.replace("/", ""))).toEqual([whole]);
  expect((await wire(url, "GET", `${path}/half`)).status).toBe(404);
  expect((await wire(url, "GET", `${path}/whole`)).body.toString()).toBe("whole");
  expect((await wire(url, "PUT", `${path}/half`, "now")).status).toBe(200);
  expect(await filesBelow(spool)).toEqual([]);
});
