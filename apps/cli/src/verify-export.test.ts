import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { verifyExport } from "./verify-export.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-verify-"));
  await mkdir(join(folder, "runs"));
  const files = [];
  for (const path of ["runs/a.json", "runs/b.json", "c.txt"]) {
    await writeFile(join(folder, path), `content of ${path}`);
    const size = `content of ${path}`.length;
    files.push({ path, size, sha256: createHash("sha256").update(`content of ${path}`).digest("hex") });
  }
  await writeFile(join(folder, "manifest.json"), JSON.stringify({ format: 1, project: "p", files }));
});
afterEach(() => rm(folder, { recursive: true }));

test("a whole export is whole", async () => {
  expect(await verifyExport(folder)).toEqual({ files: 3, bytes: 60, faults: [], extra: [] });
});

test("what is missing, changed or added is named", async () => {
  await rm(join(folder, "runs/a.json"));
  await writeFile(join(folder, "runs/b.json"), "content of runs/X.json");
  await writeFile(join(folder, "c.txt"), "short");
  await writeFile(join(folder, "runs/new.json"), "");
  expect(await verifyExport(folder)).toMatchObject({
    faults: [
      { path: "runs/a.json", what: "is missing" },
      { path: "runs/b.json", what: "has other bytes" },
      { path: "c.txt", what: "has 5 bytes, not 16" },
    ],
    extra: ["runs/new.json"],
  });
});

test("without a manifest an export is not whole, and one that is none is refused", async () => {
  await writeFile(join(folder, "manifest.json"), "{");
  await expect(verifyExport(folder)).rejects.toMatchObject({ code: "INVALID_DATA" });
  await rm(join(folder, "manifest.json"));
  await expect(verifyExport(folder)).rejects.toMatchObject({
    code: "NOT_FOUND",
    hint: expect.stringContaining("goes on"),
  });
});
