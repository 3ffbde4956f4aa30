import { watch } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { publishPredictions } from "./publish-predictions.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-publish-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function fresh(name: string, partition: string, text: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, partition), { recursive: true });
  await writeFile(join(path, partition, "part.parquet"), text);
  return path;
}

it("a partition takes the place of the one before, and nothing else is ever a partition of the folder", async () => {
  const target = join(folder, "predictions");
  await publishPredictions(await fresh("one", "day=1", "old"), target);
  await publishPredictions(await fresh("two", "day=2", "other"), target);
  const seen = new Set<string>();
  const watcher = watch(target, (_event, name) => seen.add(String(name)));
  await publishPredictions(await fresh("three", "day=1", "new"), target);
  while (!seen.has("day=1")) await new Promise((resolve) => setImmediate(resolve));
  watcher.close();
  expect([...seen].filter((name) => name.includes("=") && name !== "day=1")).toEqual([]);
  expect((await readdir(target)).filter((name) => !name.startsWith(".")).sort()).toEqual(["day=1", "day=2"]);
  expect(await readFile(join(target, "day=1", "part.parquet"), "utf8")).toBe("new");
  expect(await readFile(join(target, "day=2", "part.parquet"), "utf8")).toBe("other");
  expect((await readdir(folder)).filter((name) => name.includes("espalier-old"))).toEqual([]);
});
