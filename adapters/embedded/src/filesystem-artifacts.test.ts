import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Artifacts, blobKey, createArtifacts } from "@espalier/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFilesystemArtifactStore } from "./filesystem-artifact-store.ts";
import { createLocalFiles } from "./local-files.ts";

let folder: string;
let artifacts: Artifacts;
const storePath = (key: string): string => join(folder, "store", key);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-artifacts-"));
  artifacts = createArtifacts(createFilesystemArtifactStore({ path: join(folder, "store") }), createLocalFiles());
});
afterEach(() => rm(folder, { recursive: true }));

async function writeTree(name: string, files: Record<string, string | Buffer>): Promise<string> {
  const root = join(folder, name);
  await mkdir(root, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(root, path, ".."), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

async function readTree(root: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(root, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[path.slice(root.length + 1)] = await readFile(path, "utf8");
  }
  return found;
}

const manySmallFiles = (count: number): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`part-${index % 7}/${index}.txt`, `content ${index}`]),
  );

async function flipByte(key: string, offset = 0): Promise<void> {
  const bytes = await readFile(storePath(key));
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  await chmod(storePath(key), 0o644);
  await writeFile(storePath(key), bytes);
}

describe("files", () => {
  it("come back as they went in, under the digest of their bytes", async () => {
    const content = Buffer.alloc(3_000_000, "espalier ");
    const root = await writeTree("data", { "big.bin": content });
    const ref = await artifacts.putFile(join(root, "big.bin"), "file");
    expect(ref.size).toBe(3_000_000);
    await artifacts.materialise(ref, join(folder, "out", "copy.bin"));
    expect((await readFile(join(folder, "out", "copy.bin"))).equals(content)).toBe(true);
    expect(await artifacts.exists(ref)).toBe(true);
  });

  it("may be empty", async () => {
    const root = await writeTree("data", { empty: "" });
    const ref = await artifacts.putFile(join(root, "empty"), "file");
    expect(ref.digest).toBe("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    await artifacts.materialise(ref, join(folder, "empty-copy"));
    expect(await readFile(join(folder, "empty-copy"), "utf8")).toBe("");
  });

  it("that are missing or folders are refused by name", async () => {
    await expect(artifacts.putFile(join(folder, "nowhere"), "file")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(artifacts.putFile(folder, "file")).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("with one flipped byte are not read as if whole, and the blob is named", async () => {
    const root = await writeTree("data", { file: "x".repeat(2_500_000) });
    const ref = await artifacts.putFile(join(root, "file"), "file");
    await flipByte(blobKey(ref.digest), 1_000);
    const target = join(folder, "target");
    await expect(artifacts.materialise(ref, target)).rejects.toMatchObject({
      code: "CORRUPTED",
      at: blobKey(ref.digest),
    });
    await expect(artifacts.verify(ref)).rejects.toThrow(ref.digest);
    expect(await readdir(folder)).not.toContain("target");
    expect((await readdir(folder)).filter((name) => name.startsWith(".espalier-tmp"))).toEqual([]);
  });

  it("of type value are the same however the JSON was printed", async () => {
    const root = await writeTree("data", { a: '{"b": 1, "a": [1.0]}', b: '{"a":[1],\n"b":1}\n', c: "{" });
    const a = await artifacts.putFile(join(root, "a"), "value");
    expect(await artifacts.putFile(join(root, "b"), "value")).toEqual(a);
    expect(Buffer.from(await artifacts.readBytes(a, undefined, 100)).toString()).toBe('{"a":[1],"b":1}');
    await expect(artifacts.putFile(join(root, "c"), "value")).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(artifacts.putBytes(Buffer.alloc(70_000, "1"), "value")).rejects.toMatchObject({ code: "TOO_LARGE" });
  });
});

describe("trees", () => {
  it("are looked into folder by folder, and parts of their files are read", async () => {
    const files = {
      "sub/deep/a.txt": "abcdef",
      "sub/b.txt": "b",
      "large.bin": "0123456789".repeat(10_000),
      ...manySmallFiles(40),
    };
    const ref = await artifacts.putTree(await writeTree("data", files), "tree");
    const paths = async (folder: string) => (await artifacts.level(ref, folder))?.map((entry) => entry.path);
    expect((await paths(""))?.filter((path) => !path.startsWith("part-"))).toEqual(["large.bin", "sub/"]);
    expect(await paths("sub")).toEqual(["b.txt", "deep/"]);
    expect(await paths("sub/deep")).toEqual(["a.txt"]);
    expect(await paths("sub/b.txt")).toBeUndefined();
    expect(await paths("nowhere/deep")).toBeUndefined();
    const part = async (path: string, start: number, end: number): Promise<string> => {
      const { body } = await artifacts.open(ref, path, { range: { start, end } });
      return Buffer.concat(await Array.fromAsync(body)).toString();
    };
    expect(await part("sub/deep/a.txt", 2, 5)).toBe("cde");
    expect(await part("large.bin", 99_995, 100_000)).toBe("56789");
    const loose = await artifacts.putBytes(Buffer.from("abcdef"), "file");
    const { size, body } = await artifacts.open(loose, undefined, { range: { start: 1, end: 3 } });
    expect([size, Buffer.concat(await Array.fromAsync(body)).toString()]).toEqual([6, "bc"]);
  });

  it("come back as they went in", async () => {
    const files = { "a.txt": "1", "sub/b.txt": "2", "sub/deeper/c.txt": "3", "same.txt": "1" };
    const ref = await artifacts.putTree(await writeTree("tree", files), "tree");
    expect(ref.size).toBe(4);
    await artifacts.materialise(ref, join(folder, "out"));
    expect(await readTree(join(folder, "out"))).toEqual(files);
    expect((await artifacts.entries(ref)).map((entry) => entry.path)).toEqual([
      "a.txt",
      "same.txt",
      "sub/b.txt",
      "sub/deeper/c.txt",
    ]);
    expect(Buffer.from(await artifacts.readBytes(ref, "sub/deeper/c.txt", 10)).toString()).toBe("3");
    await expect(artifacts.open(ref, "sub/none")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("have a digest that ignores times, owners and modes, and heeds the executable bit", async () => {
    const root = await writeTree("tree", { "run.sh": "#!/bin/sh\n", data: "1" });
    const before = await artifacts.putTree(root, "tree");
    await utimes(join(root, "data"), 0, 0);
    await chmod(join(root, "data"), 0o600);
    await mkdir(join(root, "empty"));
    expect(await artifacts.putTree(root, "tree")).toEqual(before);
    await chmod(join(root, "run.sh"), 0o755);
    const after = await artifacts.putTree(root, "tree");
    expect(after.digest).not.toBe(before.digest);
    await artifacts.materialise(after, join(folder, "out"));
    expect((await stat(join(folder, "out", "run.sh"))).mode & 0o111).not.toBe(0);
    expect((await stat(join(folder, "out", "data"))).mode & 0o111).toBe(0);
  });

  it("of many small files lie in few objects, and each file is found in them", async () => {
    const files = { ...manySmallFiles(2_000), "empty-1": "", "empty-2": "", "large.bin": "y".repeat(100_000) };
    const ref = await artifacts.putTree(await writeTree("tree", files), "tree");
    const objects = (await readdir(join(folder, "store"), { recursive: true, withFileTypes: true })).filter((entry) =>
      entry.isFile(),
    );
    expect(objects.length).toBeLessThan(60);
    await artifacts.materialise(ref, join(folder, "out"));
    expect(await readTree(join(folder, "out"))).toEqual(files);
    expect(Buffer.from(await artifacts.readBytes(ref, "part-3/10.txt", 100)).toString()).toBe("content 10");
    expect((await artifacts.readBytes(ref, "empty-2", 100)).byteLength).toBe(0);
    await artifacts.verify(ref);
    expect(await artifacts.exists(ref)).toBe(true);
  });

  it("that changed a little share most packs with their predecessor", async () => {
    const root = await writeTree("tree", manySmallFiles(3_000));
    await artifacts.putTree(root, "tree");
    const packs = async (): Promise<number> =>
      (await readdir(storePath("packs"), { recursive: true, withFileTypes: true })).filter((e) => e.isFile()).length;
    const before = await packs();
    await writeFile(join(root, "part-3", "new.txt"), "new");
    await artifacts.putTree(root, "tree");
    expect((await packs()) - before).toBe(1);
  });

  it("with a damaged pack name the pack and the file", async () => {
    const ref = await artifacts.putTree(await writeTree("tree", manySmallFiles(200)), "tree");
    const [pack] = (await readdir(storePath("packs"), { recursive: true, withFileTypes: true })).filter((e) =>
      e.isFile(),
    );
    const key = `packs/${pack?.parentPath.slice(-2)}/${pack?.name}`;
    await flipByte(key, 3);
    await expect(artifacts.verify(ref)).rejects.toMatchObject({ code: "CORRUPTED", at: key });
    await expect(artifacts.verify(ref)).rejects.toThrow(/part-\d\/\d+\.txt/);
    await expect(artifacts.materialise(ref, join(folder, "out"))).rejects.toMatchObject({ code: "CORRUPTED" });
    expect(await readdir(folder)).not.toContain("out");
  });

  it("are not there when one of their blobs is gone", async () => {
    const ref = await artifacts.putTree(await writeTree("tree", { a: "1", b: "2" }), "tree");
    const [entry] = await artifacts.entries(ref);
    await rm(storePath(blobKey(`sha256:${entry?.sha256}`)));
    expect(await artifacts.exists(ref)).toBe(false);
    await expect(artifacts.materialise(ref, join(folder, "out"))).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("follow symlinks that stay inside and refuse all others", async () => {
    const root = await writeTree("tree", { "data/a.txt": "1" });
    await symlink("data/a.txt", join(root, "link.txt"));
    await symlink("data", join(root, "also"));
    const ref = await artifacts.putTree(root, "tree");
    expect((await artifacts.entries(ref)).map((entry) => entry.path)).toEqual(["also/a.txt", "data/a.txt", "link.txt"]);
    for (const target of ["../../etc/passwd", "/etc/passwd", "nowhere", "."]) {
      await symlink(target, join(root, "bad"));
      await expect(artifacts.putTree(root, "tree"), target).rejects.toMatchObject({ code: "INVALID_INPUT" });
      const without = await artifacts.putTree(root, "tree", { exclude: (path) => path === "bad" });
      expect(without).toEqual(ref);
      await rm(join(root, "bad"));
    }
  });

  it("can be composed of other artifacts without copying", async () => {
    const tree = await artifacts.putTree(await writeTree("tree", manySmallFiles(100)), "tree");
    const file = await artifacts.putBytes(Buffer.from("loose"), "file");
    const both = await artifacts.compose({ "00000": tree, "00001": file }, "tree");
    await artifacts.materialise(both, join(folder, "out"));
    const byHand = await artifacts.putTree(join(folder, "out"), "tree");
    expect(byHand.digest).toBe(both.digest);
    expect(await readFile(join(folder, "out", "00000", "part-1", "1.txt"), "utf8")).toBe("content 1");
  });

  it("never replace a folder that holds something", async () => {
    const ref = await artifacts.putTree(await writeTree("tree", { a: "1" }), "tree");
    const target = await writeTree("target", { mine: "keep" });
    await expect(artifacts.materialise(ref, target)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    expect(await readTree(target)).toEqual({ mine: "keep" });
    await mkdir(join(folder, "empty"));
    await artifacts.materialise(ref, join(folder, "empty"));
    expect(await readTree(join(folder, "empty"))).toEqual({ a: "1" });
  });

  it("may be empty", async () => {
    const ref = await artifacts.putTree(await writeTree("tree", {}), "tree");
    await artifacts.materialise(ref, join(folder, "out"));
    expect(await readdir(join(folder, "out"))).toEqual([]);
  });
});
