import fc from "fast-check";
import { describe, expect, it } from "vitest";
import golden from "../../golden/tree-digest.json" with { type: "json" };
import { digestOfBytes } from "../canonical-json.ts";
import { buildTree, parseTreeList, type TreeEntry } from "./tree.ts";

const entryOf = (path: string, content: string, executable = false): TreeEntry => ({
  path,
  size: Buffer.byteLength(content),
  sha256: digestOfBytes(content).slice(7),
  executable,
});

describe("the digest of a tree", () => {
  it.each(golden.vectors)("is that of the golden vector: $name", ({ files, list, digest, size }) => {
    const tree = buildTree(files.map((file) => entryOf(file.path, file.content, file.executable)));
    expect(tree.digest).toBe(digest);
    expect(tree.size).toBe(size);
    const last = [...tree.lists].at(-1);
    expect(last?.[0]).toBe(digest);
    expect(Buffer.from(last?.[1] ?? []).toString()).toBe(list);
  });

  const segment = fc.string({ unit: "binary", minLength: 1, maxLength: 6 }).filter((name) => {
    return name !== "." && name !== ".." && !/[/\\\0]/.test(name);
  });
  // Files and folders get names that can not collide: `f…` and `d…`.
  const path = fc
    .tuple(fc.array(segment, { maxLength: 3 }), segment)
    .map(([folders, name]) => [...folders.map((folder) => `d${folder}`), `f${name}`].join("/"));
  const files = fc.uniqueArray(fc.record({ path, content: fc.string(), executable: fc.boolean() }), {
    selector: (file) => file.path,
    maxLength: 12,
  });

  it("does not depend on the order of files", () => {
    fc.assert(
      fc.property(
        files.chain((some) => fc.tuple(fc.constant(some), fc.shuffledSubarray(some, { minLength: some.length }))),
        ([some, shuffled]) => {
          const digest = (list: typeof some): string =>
            buildTree(list.map((file) => entryOf(file.path, file.content, file.executable))).digest;
          expect(digest(shuffled)).toBe(digest(some));
        },
      ),
    );
  });

  it("changes with every name, content and executable bit", () => {
    fc.assert(
      fc.property(files, files, (some, others) => {
        const listed = (list: typeof some): unknown =>
          list
            .map((file) => [file.path, file.content, file.executable])
            .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
        const digest = (list: typeof some): string =>
          buildTree(list.map((file) => entryOf(file.path, file.content, file.executable))).digest;
        const equal = JSON.stringify(listed(some)) === JSON.stringify(listed(others));
        expect(digest(some) === digest(others)).toBe(equal);
      }),
    );
  });

  it("lists parse back to what was listed", () => {
    fc.assert(
      fc.property(files, (some) => {
        const tree = buildTree(some.map((file) => entryOf(file.path, file.content, file.executable)));
        for (const [digest, bytes] of tree.lists) {
          const sum = parseTreeList(bytes, digest).reduce((total, entry) => total + entry.size, 0);
          expect(sum).toBeLessThanOrEqual(tree.size);
        }
      }),
    );
  });
});

describe("names that lead elsewhere", () => {
  it.each(["", "/etc/passwd", "../up", "a/../b", "a//b", "./a", "a\\b", "a\0b", "\ud800"])(
    "are refused: %j",
    (path) => {
      expect(() => buildTree([entryOf(path, "x")])).toThrowError(expect.objectContaining({ code: "INVALID_INPUT" }));
    },
  );

  it("are refused in a stored list", () => {
    const list = (name: string): Uint8Array =>
      Buffer.from(`[{"executable":false,"path":"${name}","sha256":"${"0".repeat(64)}","size":1}]`);
    expect(parseTreeList(list("fine"), `sha256:${"0".repeat(64)}`)).toHaveLength(1);
    for (const name of ["..", "../x", "a/b", "/"]) {
      expect(() => parseTreeList(list(name), `sha256:${"0".repeat(64)}`), name).toThrowError(
        expect.objectContaining({ code: "CORRUPTED" }),
      );
    }
  });

  it("twice the same, also as file and folder, is refused", () => {
    expect(() => buildTree([entryOf("a", "1"), entryOf("a", "2")])).toThrow(/twice/);
    expect(() => buildTree([entryOf("a", "1"), entryOf("a/b", "2")])).toThrow(/twice/);
  });
});
