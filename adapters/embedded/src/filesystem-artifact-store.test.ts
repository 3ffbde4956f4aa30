import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { artifactStoreConformance } from "@espalier/conformance";
import type { ByteStream } from "@espalier/core";
import { describe, expect, it } from "vitest";
import { createFilesystemArtifactStore } from "./filesystem-artifact-store.ts";
import { createLocalFiles } from "./local-files.ts";

artifactStoreConformance(
  { describe, it, expect },
  {
    async open() {
      const folder = await mkdtemp(join(tmpdir(), "espalier-store-"));
      return {
        store: createFilesystemArtifactStore({ path: folder }),
        close: () => rm(folder, { recursive: true }),
      };
    },
  },
);

describe("the filesystem store", () => {
  it("removes what a killed process left half-written, and nothing of a living one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "espalier-store-"));
    const temporary = join(folder, ".tmp");
    await mkdir(temporary);
    // Process ids end at 2^22 on Linux, so this one never lives.
    await writeFile(join(temporary, `.espalier-tmp~${hostname()}~99999999~1~x`), "half");
    await writeFile(join(temporary, `.espalier-tmp~${hostname()}~${process.pid}~1~x`), "mine");
    await writeFile(join(temporary, ".espalier-tmp~elsewhere~99999999~1~x"), "young, of another machine");
    const store = createFilesystemArtifactStore({ path: folder, sync: true });
    await store.put(
      "key",
      (async function* () {
        yield Buffer.from("1");
      })(),
      { size: 1 },
    );
    expect((await readdir(temporary)).sort()).toEqual(
      [".espalier-tmp~elsewhere~99999999~1~x", `.espalier-tmp~${hostname()}~${process.pid}~1~x`].sort(),
    );
    expect((await store.list("")).keys).toEqual(["key"]);
    await rm(folder, { recursive: true });
  });

  /** Mounts a disk of one MiB, which only root may do; the reason when it can not. */
  const mountTinyDisk = (folder: string): string | undefined => {
    if (process.getuid?.() !== 0) return "only root may mount a small disk";
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], { encoding: "utf8" });
    return mounted.status === 0 ? undefined : `mount failed: ${mounted.stderr ?? mounted.error}`;
  };

  it("on a full disk says so, leaves nothing half-written, and goes on when there is space again", async (context) => {
    const folder = await mkdtemp(join(tmpdir(), "espalier-full-"));
    const reason = mountTinyDisk(folder);
    if (reason !== undefined) {
      await rm(folder, { recursive: true });
      return context.skip(reason);
    }
    try {
      const store = createFilesystemArtifactStore({ path: join(folder, "store") });
      const chunks = async function* (count: number): ByteStream {
        for (let index = 0; index < count; index += 1) yield Buffer.alloc(100_000, index);
      };
      await store.put("small", chunks(1), { size: 100_000 });
      await expect(store.put("large", chunks(20), { size: 2_000_000 })).rejects.toMatchObject({ code: "DISK_FULL" });
      expect((await store.list("")).keys).toEqual(["small"]);
      expect(await readdir(join(folder, "store", ".tmp"))).toEqual([]);
      await store.put("fits", chunks(5), { size: 500_000 });
      const files = createLocalFiles();
      await expect(files.writeFile(join(folder, "out"), chunks(20))).rejects.toMatchObject({ code: "DISK_FULL" });
      const tree = files.writeFolder(join(folder, "tree"), (write) => write("a/b", chunks(20)));
      await expect(tree).rejects.toMatchObject({ code: "DISK_FULL" });
      expect(await readdir(folder)).toEqual(["store"]);
    } finally {
      spawnSync("umount", [folder]);
      await rm(folder, { recursive: true });
    }
  });
});
