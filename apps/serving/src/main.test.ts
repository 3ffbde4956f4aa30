import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { logisticModel, matrixSignature, treeModel, writeModelFolder } from "@espalier/conformance";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "./testing/running-server.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

describe("serving program", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const started: ChildProcess[] = [];
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(async () => {
    for (const child of started.splice(0))
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await folder.remove();
  });

  function start(...argv: string[]): ChildProcess & { errors: string } {
    const child = Object.assign(spawn(process.execPath, [main, ...argv], { stdio: ["ignore", "ignore", "pipe"] }), {
      errors: "",
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      child.errors += chunk.toString();
    });
    started.push(child);
    return child;
  }

  async function announced(file: string): Promise<{ port: number }> {
    for (let tries = 0; tries < 600; tries++) {
      const text = await readFile(file, "utf8").catch(() => undefined);
      if (text !== undefined) return JSON.parse(text) as { port: number };
      await delay(50);
    }
    throw new Error("no announcement came");
  }

  it.each<[string, string[], number, string]>([
    ["no command", [], 2, "no command"],
    ["an unknown flag", ["model", "--modell", "x"], 2, "--modell"],
    ["a port that is none", ["model", "--port", "99999"], 2, "--port must be a number from 0 to 65535"],
    ["a folder without a model", ["model", "--model-dir", "/nowhere"], 6, "NOT_FOUND"],
    ["a router without a state", ["router", "--state", "/nowhere/state.json"], 6, "NOT_FOUND"],
  ])("ends with the table's exit code: %s", async (_name, argv, exitCode, message) => {
    const child = start(...argv);
    const [code] = await once(child, "close");
    expect(code).toBe(exitCode);
    expect(child.errors).toContain(message);
  });

  it.each([["--help"], ["model", "--help"], ["serve", "-h"]])("says how it is used: %s %s", (...argv) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...argv], { encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("serving model --model-dir FOLDER");
  });

  it("ends with a clear error when the payload is not ONNX, or the port is taken", async () => {
    const at = await writeModelFolder(join(folder.path, "bad"), Buffer.from("nonsense"), matrixSignature(["a"]));
    const bad = start("model", "--model-dir", at, "--announce", join(folder.path, "bad.json"));
    expect((await once(bad, "close"))[0]).toBe(1);
    expect(bad.errors).toContain("must be an ONNX file");
    expect(JSON.parse(await readFile(join(folder.path, "bad.json"), "utf8"))).toMatchObject({
      error: { code: "INVALID_DATA" },
    });

    const good = await writeModelFolder(join(folder.path, "good"), logisticModel([1], 0), matrixSignature(["a"]));
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const { port } = holder.address() as { port: number };
    const late = start("serve", "--model-dir", good, "--host", "127.0.0.1", "--port", String(port));
    expect((await once(late, "close"))[0]).toBe(3);
    expect(late.errors).toContain(`Port ${port} on 127.0.0.1 is in use`);
    await new Promise((resolve) => holder.close(resolve));
  });

  it("SIGTERM: every request that was taken is answered, capture is closed, exit 0", async () => {
    const columns = Array.from({ length: 10 }, (_, index) => `x${index}`);
    const model = treeModel({ columns: 10, trees: 50, depth: 5, seed: 1 });
    const at = await writeModelFolder(join(folder.path, "model"), model, matrixSignature(columns));
    const capture = join(folder.path, "capture");
    const announce = join(folder.path, "announce.json");
    const child = start(
      "model",
      "--model-dir",
      at,
      "--announce",
      announce,
      "--capture-dir",
      capture,
      "--capture-rate",
      "1",
    );
    const { port } = await announced(announce);
    const agent = new Agent({ keepAlive: true });
    const body = JSON.stringify({ instances: Array.from({ length: 50 }, () => columns.map(() => 0.5)) });
    let answered = 0;
    let failed = 0;
    const ask = () =>
      new Promise<boolean>((resolve) => {
        const call = request({ port, agent, method: "POST", path: "/invocations" }, (response) => {
          if (response.statusCode === 200) answered++;
          else failed++;
          response
            .resume()
            .on("end", () => resolve(true))
            .on("error", () => resolve(false));
        });
        // After SIGTERM nobody listens; what was refused was not taken.
        call.on("error", () => resolve(false)).end(body);
      });
    const callers = Array.from({ length: 16 }, async () => {
      while (await ask());
    });
    while (answered < 100) await delay(5);
    child.kill("SIGTERM");
    const [code] = await once(child, "close");
    await Promise.all(callers);
    agent.destroy();
    expect([code, failed]).toEqual([0, 0]);
    const { readdir } = await import("node:fs/promises");
    const segments = await readdir(capture);
    expect(segments.filter((name) => name.endsWith(".open.jsonl"))).toEqual([]);
    const texts = await Promise.all(segments.map((name) => readFile(join(capture, name), "utf8")));
    const captured = texts.flatMap((text) => text.trim().split("\n")).filter((line) => "id" in JSON.parse(line));
    // An answer may have left the server and not have reached a caller whose connection was closed.
    expect(captured.length).toBeGreaterThanOrEqual(answered);
  });

  it("a router serves from the state it is given", async () => {
    const at = await writeModelFolder(join(folder.path, "model"), logisticModel([1], 0), matrixSignature(["a"]));
    start("model", "--model-dir", at, "--name", "m", "--version", "4", "--announce", join(folder.path, "m.json"));
    const { port } = await announced(join(folder.path, "m.json"));
    const versions = [{ key: "k", model: "m", version: "4", port, weight: 1 }];
    const state = join(folder.path, "state.json");
    await writeFile(state, JSON.stringify({ format: 1, endpoint: "e", generation: 1, captureRate: 0, versions }));
    const router = start("router", "--state", state, "--announce", join(folder.path, "r.json"));
    const address = await announced(join(folder.path, "r.json"));
    const ask = () =>
      fetch(`http://127.0.0.1:${address.port}/invocations`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"instances":[[0]]}',
      });
    let answer = await ask();
    for (let tries = 0; answer.status === 503 && tries < 200; tries++) {
      await delay(25);
      answer = await ask();
    }
    expect([answer.status, await answer.json()]).toEqual([200, { predictions: [0.5] }]);
    router.kill("SIGTERM");
    expect((await once(router, "close"))[0]).toBe(0);
  });
});
