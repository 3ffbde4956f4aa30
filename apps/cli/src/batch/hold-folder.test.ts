import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { holdFolder } from "./hold-folder.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-hold-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("one command at a time works in a folder; what a killed one left holds nobody up", async () => {
  await holdFolder(folder);
  await expect(holdFolder(folder)).rejects.toMatchObject({
    code: "CONFLICT",
    message: expect.stringContaining(`process ${process.pid}`),
  });
  const dead = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(dead, "exit");
  await writeFile(join(folder, "held-by"), String(dead.pid));
  await holdFolder(folder);
});
