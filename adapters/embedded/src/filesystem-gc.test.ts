import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ArtifactStore,
  type Artifacts,
  blobKey,
  claimStore,
  createArtifacts,
  planGc,
  restoreQuarantine,
  setAsideDamaged,
  sweepGc,
  verifyStore,
} from "@espalier/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFilesystemArtifactStore } from "./filesystem-artifact-store.ts";
import { createLocalFiles } from "./local-files.ts";

const day = 24 * 60 * 60 * 1000;
const now = Date.UTC(2026, 5, 1);
const database = "database-a";

let folder: string;
let store: ArtifactStore;
let artifacts: Artifacts;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-gc-"));
  store = createFilesystemArtifactStore({ path: join(folder, "store") });
  artifacts = createArtifacts(store, createLocalFiles());
  await claimStore(store, database);
});
afterEach(() => rm(folder, { recursive: true }));

async function tree(name: string, count: number): Promise<string> {
  const root = join(folder, name);
  await mkdir(join(root, "sub"), { recursive: true });
  for (let index = 0; index < count; index += 1) {
    await writeFile(join(root, "sub", `${index}.txt`), `${name === "old" && index === 0 ? "old" : "both"} ${index}`);
  }
  await writeFile(join(root, "large.bin"), name.repeat(50_000));
  return root;
}

async function flipByte(key: string): Promise<void> {
  const path = join(folder, "store", key);
  const bytes = await readFile(path);
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  await chmod(path, 0o644);
  await writeFile(path, bytes);
}

describe("garbage collection", () => {
  it("previews, sweeps what nothing needs, and keeps all else whole", async () => {
    const keep = await artifacts.putTree(await tree("keep", 100), "tree");
    const old = await artifacts.putTree(await tree("old", 100), "tree");
    const before = await planGc(store, [keep, old], { database, now });
    expect(before).toMatchObject({ objects: [], bytes: 0 });
    const plan = await planGc(store, [keep], { database, now });
    expect(plan.bytes).toBeGreaterThan(150_000);
    expect(plan.objects.map((object) => object.key)).toContain(blobKey(old.digest));
    expect(await sweepGc(store, plan, { database, now })).toEqual({ swept: plan.objects.length, deleted: 0 });
    await artifacts.verify(keep);
    expect((await planGc(store, [keep], { database, now })).objects).toEqual([]);
  });

  it("gives back what is looked for in quarantine", async () => {
    const old = await artifacts.putTree(await tree("old", 100), "tree");
    const sweep = async (): Promise<unknown> =>
      sweepGc(store, await planGc(store, [], { database, now }), { database, now });
    await sweep();
    expect(await artifacts.exists(old)).toBe(true);
    await artifacts.verify(old);
    await sweep();
    await artifacts.materialise(old, join(folder, "out"));
    expect(await readdir(join(folder, "out", "sub"))).toHaveLength(100);
    await sweep();
    expect(await restoreQuarantine(store)).toBeGreaterThan(2);
    expect((await store.list("quarantine/")).keys).toEqual([]);
    await artifacts.verify(old);
  });

  it("deletes after seven days, not before", async () => {
    const old = await artifacts.putTree(await tree("old", 3), "tree");
    const at = async (time: number): Promise<{ swept: number; deleted: number }> =>
      sweepGc(store, await planGc(store, [], { database, now: time }), { database, now: time });
    const { swept } = await at(now);
    expect(await at(now + 6 * day)).toEqual({ swept: 0, deleted: 0 });
    expect(await at(now + 7 * day)).toEqual({ swept: 0, deleted: swept });
    expect(await artifacts.exists(old)).toBe(false);
    expect((await store.list("")).keys).toEqual(["espalier-store.json"]);
  });

  it("counts seven days from the last sweep of what came back in between", async () => {
    const ref = await artifacts.putBytes(Buffer.from("again"), "file");
    const at = async (time: number): Promise<{ swept: number; deleted: number }> =>
      sweepGc(store, await planGc(store, [], { database, now: time }), { database, now: time });
    await at(now);
    await artifacts.verify(ref);
    await at(now + 5 * day);
    expect(await at(now + 8 * day)).toEqual({ swept: 0, deleted: 0 });
    expect(await artifacts.exists(ref)).toBe(true);
  });

  it("never deletes what came on record after it was swept, even if nobody looked for it", async () => {
    const ref = await artifacts.putBytes(Buffer.from("logged while gc was at work"), "file");
    const stale = await planGc(store, [], { database, now });
    await sweepGc(store, stale, { database, now });
    expect(await store.head(blobKey(ref.digest))).toBeUndefined();
    const later = { database, now: now + 8 * day };
    expect(await sweepGc(store, await planGc(store, [ref], later), later)).toEqual({ swept: 0, deleted: 0 });
    expect(await store.head(blobKey(ref.digest))).toEqual({ size: 27 });
    expect((await store.list("quarantine/")).keys).toEqual([]);
  });

  it("refuses a store of another database, and one that nobody claimed", async () => {
    await expect(planGc(store, [], { database: "database-b", now })).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await claimStore(store, "database-b")).toBe(database);
    const fresh = createFilesystemArtifactStore({ path: join(folder, "fresh") });
    await expect(planGc(fresh, [], { database, now })).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("refuses when a damaged list hides what is needed", async () => {
    const ref = await artifacts.putTree(await tree("keep", 3), "tree");
    await flipByte(blobKey(ref.digest));
    await expect(planGc(store, [ref], { database, now })).rejects.toMatchObject({ code: "CORRUPTED" });
  });
});

describe("verifying a store", () => {
  it("finds nothing in a sound one", async () => {
    const ref = await artifacts.putTree(await tree("keep", 100), "tree");
    const report = await verifyStore(store, [{ name: "run 1", ref }]);
    expect(report.damages).toEqual([]);
    expect(report.objects).toBeGreaterThan(4);
  });

  it("names each flipped byte and who uses it; set aside, a repeated publication heals it", async () => {
    const root = await tree("keep", 100);
    const ref = await artifacts.putTree(root, "tree");
    const other = await artifacts.putBytes(Buffer.from("sound"), "file");
    const { keys } = await store.list("");
    const packs = keys.filter((key) => key.startsWith("packs/"));
    const large = (await artifacts.entries(ref)).find((entry) => entry.path === "large.bin");
    const damaged = [...packs, blobKey(`sha256:${large?.sha256}`)].sort();
    for (const key of damaged) await flipByte(key);
    const roots = [
      { name: "run 1/train.data", ref },
      { name: "run 2/other", ref: other },
    ];
    const report = await verifyStore(store, roots);
    expect(report.damages.map(({ key, kind, usedBy }) => ({ key, kind, usedBy }))).toEqual(
      [...damaged].sort().map((key) => ({ key, kind: "damaged", usedBy: ["run 1/train.data"] })),
    );
    await setAsideDamaged(store, report);
    expect(await artifacts.exists(ref)).toBe(false);
    expect((await verifyStore(store, roots)).damages.map((damage) => damage.kind)).toEqual(
      damaged.map(() => "missing"),
    );
    await artifacts.putTree(root, "tree");
    expect((await verifyStore(store, roots)).damages).toEqual([]);
  });

  it("names what is missing, also when a list is gone", async () => {
    const ref = await artifacts.putTree(await tree("keep", 3), "tree");
    await store.delete(blobKey(ref.digest));
    const report = await verifyStore(store, [{ name: "dataset flights@1", ref }]);
    expect(report.damages).toMatchObject([
      { key: blobKey(ref.digest), kind: "missing", usedBy: ["dataset flights@1"] },
    ]);
  });
});
