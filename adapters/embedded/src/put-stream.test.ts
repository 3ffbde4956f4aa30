import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Artifacts, blobKey, createArtifacts, digestOfBytes } from "@espalier/core";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createFilesystemArtifactStore } from "./filesystem-artifact-store.ts";
import { createLocalFiles } from "./local-files.ts";

let folder: string;
let artifacts: Artifacts;
const storePath = (key: string): string => join(folder, "store", key);
const spoolPath = (): string => join(folder, "spool", "one");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-stream-"));
  artifacts = createArtifacts(createFilesystemArtifactStore({ path: join(folder, "store") }), createLocalFiles());
});
afterEach(() => rm(folder, { recursive: true }));

async function* chunks(content: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < content.length; start += size) yield content.subarray(start, start + size);
}

/** Every file below the folder. */
async function files(): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

it.each([0, 1, 65_536, 1_000_003])("a stream of %i bytes is stored under its digest, once", async (size) => {
  const content = Buffer.alloc(size, "espalier ");
  for (let time = 0; time < 2; time += 1) {
    const ref = await artifacts.putStream(chunks(content, 40_000), { spoolPath: spoolPath(), size });
    expect(ref).toEqual({ type: "file", digest: digestOfBytes(content), size });
  }
  const path = storePath(blobKey(digestOfBytes(content)));
  expect((await readFile(path)).equals(content)).toBe(true);
  expect(await files()).toEqual([path]);
  expect((await stat(path)).mode & 0o777).toBe(0o444);
});

it("the spooled file becomes the blob without being copied", async () => {
  const inodes: bigint[] = [];
  const local = createLocalFiles();
  const watched = createArtifacts(createFilesystemArtifactStore({ path: join(folder, "store") }), {
    ...local,
    async removeFile(path) {
      inodes.push((await stat(path, { bigint: true })).ino);
      await local.removeFile(path);
    },
  });
  const ref = await watched.putStream(chunks(Buffer.from("bytes"), 2), { spoolPath: spoolPath() });
  expect(inodes).toEqual([(await stat(storePath(blobKey(ref.digest)), { bigint: true })).ino]);
});

it("another length than announced, a stream that breaks or grows too large leave nothing behind", async () => {
  const content = Buffer.alloc(300_000);
  const put = (body: AsyncIterable<Uint8Array>, rules: { size?: number; maxBytes?: number }) =>
    artifacts.putStream(body, { spoolPath: spoolPath(), ...rules });
  await expect(put(chunks(content, 1000), { size: 299_999 })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  await expect(put(chunks(content, 1000), { size: 300_001 })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  await expect(put(chunks(content, 1000), { maxBytes: 299_999 })).rejects.toMatchObject({ code: "TOO_LARGE" });
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* chunks(content, 100_000);
    throw new Error("the wire was cut");
  }
  await expect(put(broken(), {})).rejects.toMatchObject({ message: "the wire was cut" });
  expect(await files()).toEqual([]);
});

it("a blob of another size, which must be damaged, is replaced", async () => {
  const content = Buffer.from("whole content");
  const { digest } = await artifacts.putStream(chunks(content, 100), { spoolPath: spoolPath() });
  const path = storePath(blobKey(digest));
  await chmod(path, 0o644);
  await writeFile(path, "half");
  await artifacts.putStream(chunks(content, 100), { spoolPath: spoolPath() });
  expect(await readFile(path, "utf8")).toBe("whole content");
});
