import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ArtifactRef,
  type ArtifactStore,
  blobKey,
  copyArtifacts,
  createArtifacts,
  damagedAmong,
  keysHeldBy,
  type PutOptions,
} from "@espalier/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFilesystemArtifactStore } from "./filesystem-artifact-store.ts";
import { createLocalFiles } from "./local-files.ts";

let folder: string;
let from: ArtifactStore;
let to: ArtifactStore;
let refs: ArtifactRef[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-copies-"));
  from = createFilesystemArtifactStore({ path: join(folder, "from") });
  to = createFilesystemArtifactStore({ path: join(folder, "to") });
  const artifacts = createArtifacts(from, createLocalFiles());
  await mkdir(join(folder, "tree", "inner"), { recursive: true });
  refs = [];
  for (let index = 0; index < 12; index += 1) {
    await writeFile(join(folder, "tree", "inner", `${index}.txt`), `file ${index}`);
    await writeFile(join(folder, "one.txt"), `alone ${index}`);
    refs.push(await artifacts.putFile(join(folder, "one.txt"), "file"));
  }
  refs.push(await artifacts.putTree(join(folder, "tree", "inner"), "tree"));
  refs.push(await artifacts.putTree(join(folder, "tree"), "tree"));
});
afterEach(() => rm(folder, { recursive: true }));

function counted(store: ArtifactStore, until = Number.POSITIVE_INFINITY) {
  const calls = { put: 0, head: 0 };
  const wrapped: ArtifactStore = {
    ...store,
    head: (key) => {
      calls.head += 1;
      return store.head(key);
    },
    put: (key: string, body: AsyncIterable<Uint8Array>, options: PutOptions) => {
      calls.put += 1;
      return calls.put > until ? Promise.reject(new Error("gone")) : store.put(key, body, options);
    },
  };
  return { calls, wrapped };
}

test("a copy cut off after any object goes on, sends nothing twice, and never takes half an artifact for a whole one", async () => {
  const whole = counted(to);
  let puts = 0;
  for (let cut = 1; cut < 100; cut += 3) {
    const broken = counted(to, cut);
    const held = await keysHeldBy(to);
    const failed = await copyArtifacts(from, broken.wrapped, refs, { held }).then(
      () => false,
      () => true,
    );
    puts += Math.min(broken.calls.put, cut);
    for (const ref of refs) {
      if (ref.type !== "tree" || (await to.head(blobKey(ref.digest))) === undefined) continue;
      const entries = await createArtifacts(to, createLocalFiles()).entries(ref);
      expect(entries).toHaveLength(12);
    }
    if (!failed) break;
  }
  const last = await copyArtifacts(from, whole.wrapped, refs, { held: await keysHeldBy(to) });
  expect(last).toMatchObject({ artifacts: 14, held: 14, objects: 0, bytes: 0, failed: 0 });
  expect(whole.calls.put).toBe(0);
  expect(puts).toBeGreaterThanOrEqual((await keysHeldBy(to)).size);
  expect([...(await keysHeldBy(from))].sort()).toEqual([...(await keysHeldBy(to))].sort());
});

test("what the target holds is known by listing, not by asking for each", async () => {
  await copyArtifacts(from, to, refs, { held: new Set() });
  const { calls, wrapped } = counted(to);
  await copyArtifacts(from, wrapped, refs, { held: await keysHeldBy(wrapped) });
  expect(calls.head).toBe(0);
});

test("what the source lost or damaged is told, and the rest goes over", async () => {
  const [lost, hurt] = refs as [ArtifactRef, ArtifactRef];
  await from.delete(blobKey(lost.digest));
  const path = join(folder, "from", blobKey(hurt.digest));
  await rm(path);
  await writeFile(path, "alone X");
  const report = await copyArtifacts(from, to, refs, { held: new Set() });
  expect(report).toMatchObject({ artifacts: 14, failed: 2 });
  expect(report.failures.map(({ digest, code }) => [digest, code]).sort()).toEqual(
    [
      [lost.digest, "NOT_FOUND"],
      [hurt.digest, "CORRUPTED"],
    ].sort(),
  );
  expect(await to.head(blobKey(hurt.digest))).toBeUndefined();
});

test("an object that the target damaged is found by its hash", async () => {
  await copyArtifacts(from, to, refs, { held: new Set() });
  const key = blobKey((refs[0] as ArtifactRef).digest);
  await rm(join(folder, "to", key));
  await writeFile(join(folder, "to", key), "alone X");
  expect(await damagedAmong(to, await keysHeldBy(to))).toEqual([key]);
});
