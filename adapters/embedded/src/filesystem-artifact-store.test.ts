import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { artifactStoreConformance } from "@espalier/conformance";
import { describe, expect, it } from "vitest";
import { createFilesystemArtifactStore } from "./filesystem-artifact-store.ts";

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
});
