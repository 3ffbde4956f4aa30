import { digestOfBytes } from "@espalier/core";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import type { FileQueries, FolderEntry } from "./queries/files.ts";
import { describeOnBoth } from "./testing/databases.ts";

const digest = (content: string) => digestOfBytes(Buffer.from(content));

async function names(files: FileQueries, folder: string, limit = 1000): Promise<FolderEntry[]> {
  const entries: FolderEntry[] = [];
  let after: string | undefined;
  do {
    const page = await files.list(folder, limit, after);
    expect(page.entries.length).toBeLessThanOrEqual(limit);
    entries.push(...page.entries);
    after = page.next;
  } while (after !== undefined);
  return entries;
}

describeOnBoth("tracked files", await startPostgres(), (database) => {
  test("a path holds one file, and another takes its place", async () => {
    const { files } = await database.open();
    expect(await files.get("1/a")).toBeUndefined();
    await files.put({ path: "1/a", digest: digest("one"), size: 3 });
    await files.put({ path: "1/a", digest: digest("three"), size: 5 });
    expect(await files.get("1/a")).toEqual({ path: "1/a", digest: digest("three"), size: 5 });
    expect(await (await database.open()).files.get("1/a")).toBeUndefined();
  });

  test("a file is no folder and a folder no file", async () => {
    const { files } = await database.open();
    await files.put({ path: "1/a/b", digest: digest(""), size: 0 });
    await expect(files.put({ path: "1/a", digest: digest(""), size: 0 })).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(files.put({ path: "1/a/b/c/d", digest: digest(""), size: 0 })).rejects.toMatchObject({
      code: "CONFLICT",
    });
    await files.put({ path: "1/a.b", digest: digest(""), size: 0 });
    await files.put({ path: "1/a0", digest: digest(""), size: 0 });
    expect(await names(files, "1")).toHaveLength(3);
  });

  test("a guard that throws leaves nothing", async () => {
    const { files } = await database.open();
    const refused = files.put({ path: "1/a", digest: digest(""), size: 0 }, async () => {
      throw new Error("no");
    });
    await expect(refused).rejects.toThrow("no");
    expect(await files.get("1/a")).toBeUndefined();
  });

  test.each([1, 2, 3, 1000])("one level is listed, %i at a time, whatever sorts around the slash", async (limit) => {
    const { files } = await database.open();
    const paths = [
      "f/a",
      "f/b!",
      "f/b/x",
      "f/b/y/z",
      "f/b0",
      "f/c.d/e",
      "f/c.d0",
      "f/\u{ffff}",
      "f/\u{1f333}/t",
      "g/a",
      "f0",
    ];
    for (const path of paths) await files.put({ path, digest: digest(path), size: path.length });
    expect(await names(files, "f", limit)).toEqual([
      { name: "a", isFolder: false, size: 3 },
      { name: "b!", isFolder: false, size: 4 },
      { name: "b", isFolder: true },
      { name: "b0", isFolder: false, size: 4 },
      { name: "c.d", isFolder: true },
      { name: "c.d0", isFolder: false, size: 6 },
      { name: "\u{ffff}", isFolder: false, size: 3 },
      { name: "\u{1f333}", isFolder: true },
    ]);
    expect((await names(files, "", limit)).map((entry) => entry.name)).toEqual(["f", "f0", "g"]);
    expect(await names(files, "f/a", limit)).toEqual([]);
    expect(await names(files, "nowhere", limit)).toEqual([]);
  });

  test("more files than one query reads are listed, gathered and removed whole", async () => {
    const { files } = await database.open();
    const paths = Array.from({ length: 1100 }, (_, index) => `t/many/${String(index).padStart(4, "0")}`);
    for (const path of [...paths, "t/last", "t/first"]) await files.put({ path, digest: digest(path), size: 1 });
    expect((await names(files, "t")).map((entry) => entry.name)).toEqual(["first", "last", "many"]);
    expect(await names(files, "t/many", 400)).toHaveLength(1100);
    const below = await files.below("t/many");
    expect(below.map((entry) => `t/many/${entry.path}`)).toEqual(paths);
    expect(below[7]).toEqual({
      path: "0007",
      size: 1,
      sha256: digest("t/many/0007").slice("sha256:".length),
      executable: false,
    });
    expect(await files.remove("t/first")).toBe(1);
    expect(await files.remove("t/many")).toBe(1100);
    expect((await names(files, "t")).map((entry) => entry.name)).toEqual(["last"]);
    await expect(files.below("t/many")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
