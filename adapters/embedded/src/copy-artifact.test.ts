import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ArtifactStore, blobKey, copyArtifact, createArtifacts, type PutOptions } from "@espalier/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFilesystemArtifactStore } from "./filesystem-artifact-store.ts";
import { createLocalFiles } from "./local-files.ts";

let folder: string;
let from: ArtifactStore;
let to: ArtifactStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-copy-"));
  from = createFilesystemArtifactStore({ path: join(folder, "from") });
  to = createFilesystemArtifactStore({ path: join(folder, "to") });
});
afterEach(() => rm(folder, { recursive: true }));

async function publishTree(files: number): ReturnType<ReturnType<typeof createArtifacts>["putTree"]> {
  const root = join(folder, "tree");
  await mkdir(join(root, "inner"), { recursive: true });
  for (let index = 0; index < files; index += 1) await writeFile(join(root, "inner", `${index}.txt`), `file ${index}`);
  return createArtifacts(from, createLocalFiles()).putTree(root, "tree");
}

/** The store, which is away from the given put on. */
function failingFrom(store: ArtifactStore, put: number): ArtifactStore {
  let puts = 0;
  return {
    ...store,
    put: (key: string, body: AsyncIterable<Uint8Array>, options: PutOptions) =>
      ++puts >= put ? Promise.reject(new Error("gone")) : store.put(key, body, options),
  };
}

test.each([3, 300])("a tree of %d files that was cut off anywhere is never half there, and goes on", async (files) => {
  const ref = await publishTree(files);
  let cuts = 0;
  for (let put = 1; ; put += 1) {
    const copied = await copyArtifact(from, failingFrom(to, put), ref).catch((error: Error) => error.message);
    if (typeof copied !== "string") break;
    expect(copied).toContain("gone");
    expect(await to.head(blobKey(ref.digest))).toBeUndefined();
    cuts += 1;
  }
  expect(cuts).toBeGreaterThan(0);
  expect(await copyArtifact(from, to, ref)).toEqual({ objects: 0, bytes: 0 });
  const entries = await createArtifacts(to, createLocalFiles()).entries(ref);
  expect(entries).toHaveLength(files);
});

test("what the source lost is named", async () => {
  const ref = await publishTree(3);
  await from.delete(blobKey(ref.digest));
  await expect(copyArtifact(from, to, ref)).rejects.toMatchObject({ code: "NOT_FOUND" });
});
