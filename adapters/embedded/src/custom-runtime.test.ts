import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type CustomRuntime, digestOfBytes, type EndpointSpec } from "@espalier/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createProcessDeployer, type ProcessDeployer } from "./process-deployer.ts";

const servingEntry = fileURLToPath(new URL("../../../apps/serving/src/main.ts", import.meta.url));

/** A server of the user's: not ready at once, and tells what it was given. */
const program = `
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
const [model, port] = process.argv.slice(2);
const born = Date.now();
createServer((request, response) => {
  if (request.url === "/up") return response.writeHead(Date.now() - born > 300 ? 200 : 503).end();
  request.resume().on("end", () => response.end(JSON.stringify({
    text: readFileSync(model + "/words.txt", "utf8"), pid: process.pid, variable: process.env.SERVE_PORT === port, greeting: process.env.GREETING,
  })));
}).listen(Number(port), "127.0.0.1");
`;

/** One that has ended and that nobody waited for is not. */
async function isAlive(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return text !== undefined && text.slice(text.lastIndexOf(")") + 2, text.lastIndexOf(")") + 3) !== "Z";
}

describe.runIf(process.platform === "linux")("a program of the user's behind the router", () => {
  let root: string;
  let deployer: ProcessDeployer;
  const runtime = (): CustomRuntime => ({
    command: [process.execPath, join(root, "server.mjs"), "{model}", "{port}"],
    portVariable: "SERVE_PORT",
    environment: { GREETING: "hello" },
    healthPath: "/up",
    paths: ["/v1/"],
  });
  const spec = async (generation: number, number: number, given = runtime()): Promise<EndpointSpec> => {
    const path = join(root, `model-${number}`);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "words.txt"), `words of ${number}`);
    const digest = digestOfBytes(String(number));
    const version = { version: String(number), model: "words", digest, path, weight: 1, runtime: given };
    return { name: "words", generation, versions: [version], captureRate: 1, port: 0 };
  };
  const ask = async (url: string, path = "/v1/words") => {
    const response = await fetch(url + path, { method: "POST", body: "{}" });
    return { status: response.status, body: response.ok ? await response.json() : await response.text() };
  };

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "espalier-program-"));
    await writeFile(join(root, "server.mjs"), program);
    deployer = createProcessDeployer({ directory: join(root, "endpoints"), servingEntry });
  });
  afterEach(async () => {
    await deployer.delete("words");
    await deployer.close();
    await rm(root, { recursive: true, force: true });
  });

  it("is given its port and its model, is healthy before it gets traffic, and is replaced without a failed request", async () => {
    const { url } = await deployer.apply(await spec(1, 1));
    const first = await ask(url);
    expect(first).toMatchObject({ status: 200, body: { text: "words of 1", variable: true, greeting: "hello" } });
    expect((await ask(url, "/up")).status).toBe(404);
    let going = true;
    const answers: unknown[] = [];
    const load = (async () => {
      while (going) answers.push((await ask(url)).status);
    })();
    await deployer.apply(await spec(2, 2));
    expect((await ask(url)).body).toMatchObject({ text: "words of 2" });
    going = false;
    await load;
    expect(answers.filter((status) => status !== 200)).toEqual([]);
    // What was replaced has ended with the process that watched over it.
    expect(await isAlive((first.body as { pid: number }).pid)).toBe(false);
  });

  it("is started again when it dies, and when what watches over it is killed, and callers wait for it", async () => {
    const { url } = await deployer.apply(await spec(1, 1));
    const first = (await ask(url)).body as { pid: number };
    process.kill(first.pid, "SIGKILL");
    for (let tries = 0; tries < 400; tries++) {
      const now = (await ask(url)).body as { pid: number };
      if (now.pid !== first.pid) break;
      await delay(25);
    }
    const second = (await ask(url)).body as { pid: number };
    expect(second.pid).not.toBe(first.pid);
    const key = (await readFile(join(root, "endpoints/words/state.json"), "utf8")).match(/"key": "([^"]+)"/)?.[1];
    const announced = await readFile(join(root, "endpoints/words/versions", key ?? "", "announce.json"), "utf8");
    process.kill((JSON.parse(announced) as { pid: number }).pid, "SIGKILL");
    for (let tries = 0; tries < 400; tries++) {
      const now = (await ask(url)).body as { pid: number };
      if (now.pid !== second.pid) break;
      await delay(25);
    }
    expect(await isAlive(second.pid)).toBe(false);
    expect((await ask(url)).status).toBe(200);
  });

  it("says what is not installed, and what ended before it was healthy; nothing of it stays", async () => {
    const missing = await spec(1, 1, { command: ["no-such-program-of-ours"] });
    await expect(deployer.apply(missing)).rejects.toMatchObject({ code: "NOT_INSTALLED", at: "runtime.command.0" });
    const ending = await spec(1, 1, { command: [process.execPath, "-e", "process.exit(4)"] });
    await expect(deployer.apply(ending)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("ended with 4"),
    });
    expect(await deployer.status("words")).toBeUndefined();
  });
});
