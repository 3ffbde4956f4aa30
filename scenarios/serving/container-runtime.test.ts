import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { digestOfBytes } from "@espalier/core";
import { createProcessDeployer } from "@espalier/embedded";
import { afterEach, beforeEach, expect, it } from "vitest";
import { preparePodman } from "../../scripts/servers/podman.ts";

// The set-up would install Podman where it is missing, which no test of every day may do.
const isInstalled = spawnSync("podman", ["--version"]).status === 0;
const podman = isInstalled ? preparePodman() : { skipped: "Podman is not installed" };
if ("skipped" in podman) console.warn(`skipped: ${podman.skipped}`);
const servingEntry = fileURLToPath(new URL("../../apps/serving/src/main.ts", import.meta.url));

const program = `
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
createServer((request, response) => {
  if (request.url === "/health") return response.end("ok");
  request.resume().on("end", () =>
    response.end(JSON.stringify({ words: readFileSync("/mnt/models/words.txt", "utf8"), given: process.argv.slice(2) })));
}).listen(Number(process.env.PORT));
process.on("SIGTERM", () => process.exit(0));
`;

/** An image of this machine's Node, its libraries and the program: no registry is asked. */
async function makeImage(root: string, name: string): Promise<void> {
  const tree = join(root, "tree");
  const libraries = execFileSync("ldd", [process.execPath], { encoding: "utf8" }).match(/\/\S+/g) ?? [];
  for (const file of [process.execPath, ...libraries]) {
    const to = join(tree, file === process.execPath ? "bin/node" : file);
    await mkdir(dirname(to), { recursive: true });
    execFileSync("cp", ["--dereference", file, to]);
  }
  await mkdir(join(tree, "mnt", "models"), { recursive: true });
  await writeFile(join(tree, "server.mjs"), program);
  execFileSync("tar", ["-C", tree, "-cf", join(root, "image.tar"), "."]);
  const entry = 'ENTRYPOINT ["/bin/node", "/server.mjs"]';
  execFileSync("podman", ["import", "--change", entry, join(root, "image.tar"), name], { stdio: "ignore" });
}

const containers = (): string[] =>
  execFileSync("podman", ["ps", "--all", "--quiet"], { encoding: "utf8" })
    .split("\n")
    .filter((id) => id !== "");

/** The process that the only version's server has started. */
async function podmanOf(versions: string): Promise<number> {
  const [process = ""] = await readdir(versions);
  return JSON.parse(await readFile(join(versions, process, "program.json"), "utf8")).pid;
}

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "espalier-container-"));
});
afterEach(async () => {
  if (!("skipped" in podman)) podman.stop();
  await rm(root, { recursive: true, force: true });
});

it.skipIf("skipped" in podman)(
  "a container of the user's serves a version, with its model, and is gone afterwards",
  async () => {
    if ("skipped" in podman) return;
    Object.assign(process.env, podman.environment);
    await makeImage(root, "localhost/words:1");
    const path = join(root, "model");
    await mkdir(path);
    await writeFile(join(path, "words.txt"), "hello");
    const deployer = createProcessDeployer({ directory: join(root, "endpoints"), servingEntry });
    try {
      const runtime = { image: "localhost/words:1", command: ["--port", "{port}"] };
      const version = { version: "1", model: "words", digest: digestOfBytes("hello"), path, weight: 1, runtime };
      const { url } = await deployer.apply({
        name: "words",
        generation: 1,
        captureRate: 1,
        port: 0,
        versions: [version],
      });
      const answer = await fetch(`${url}/v1/words`, { method: "POST", body: "{}" });
      expect([answer.status, await answer.json()]).toEqual([200, { words: "hello", given: ["--port", "8080"] }]);
      // A killed Podman leaves its container, which the next one takes the place of.
      const before = containers();
      process.kill(await podmanOf(join(root, "endpoints", "words", "versions")), "SIGKILL");
      while (containers().length !== 1 || containers()[0] === before[0]) await delay(100);
      const again = await fetch(`${url}/v1/words`, { method: "POST", body: "{}" });
      expect([before.length, again.status]).toEqual([1, 200]);
    } finally {
      await deployer.delete("words");
      await deployer.close();
    }
    expect(containers()).toEqual([]);
  },
);
