import { createHash } from "node:crypto";
import type { ArtifactStore, ByteStream } from "@espalier/core";
import { caseRunner, codeOf, type Skips, type TestRunner } from "./suite.ts";

export interface ArtifactStoreSubject {
  /** An empty store of its own. */
  open(): Promise<{ store: ArtifactStore; close(): Promise<void> }>;
  skips?: Skips;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

async function* streamOf(...chunks: Uint8Array[]): ByteStream {
  yield* chunks;
}

async function read(body: ByteStream): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Every artifact store passes this. */
export function artifactStoreConformance(runner: TestRunner, subject: ArtifactStoreSubject): void {
  const { expect } = runner;
  const { it, finish } = caseRunner(runner, subject.skips);
  const withStore = (name: string, body: (store: ArtifactStore) => Promise<void>): void =>
    it(name, async () => {
      const { store, close } = await subject.open();
      try {
        await body(store);
      } finally {
        await close();
      }
    });
  const put = (store: ArtifactStore, key: string, text: string): Promise<void> =>
    store.put(key, streamOf(bytes(text)), { size: Buffer.byteLength(text) });

  runner.describe("artifact store conformance", () => {
    withStore("gives back what was put", async (store) => {
      await store.put("blobs/ab/cd", streamOf(bytes("hello "), bytes(""), bytes("world")), { size: 11 });
      expect(await read(await store.get("blobs/ab/cd"))).toBe("hello world");
      expect(await store.head("blobs/ab/cd")).toEqual({ size: 11 });
    });
    withStore("holds empty objects", async (store) => {
      await store.put("empty", streamOf(), { size: 0 });
      expect(await store.head("empty")).toEqual({ size: 0 });
      expect(await read(await store.get("empty"))).toBe("");
    });
    withStore("knows what is absent", async (store) => {
      expect(await store.head("blobs/no/where")).toBeUndefined();
      expect(await codeOf(() => store.get("blobs/no/where"))).toBe("NOT_FOUND");
      await store.delete("blobs/no/where");
    });
    withStore("replaces without ifAbsent", async (store) => {
      await put(store, "key", "first");
      await put(store, "key", "second");
      expect(await read(await store.get("key"))).toBe("second");
    });
    withStore("keeps the first bytes with ifAbsent", async (store) => {
      await put(store, "key", "first");
      await store.put("key", streamOf(bytes("other")), { size: 5, ifAbsent: true });
      expect(await read(await store.get("key"))).toBe("first");
    });
    withStore("lets one of many writers at once win with ifAbsent", async (store) => {
      const texts = Array.from({ length: 12 }, (_, index) => `writer ${String(index).padStart(2, "0")}`);
      await Promise.all(texts.map((text) => store.put("race", streamOf(bytes(text)), { size: 9, ifAbsent: true })));
      expect(texts).toContain(await read(await store.get("race")));
      expect((await store.list("")).keys).toEqual(["race"]);
    });
    withStore("refuses a body of another size and leaves nothing", async (store) => {
      for (const size of [4, 6]) {
        expect(await codeOf(() => store.put("key", streamOf(bytes("hello")), { size }))).toBe("INVALID_INPUT");
        expect(await store.head("key")).toBeUndefined();
      }
      expect((await store.list("")).keys).toEqual([]);
    });
    withStore("leaves nothing, or the old object, when the body fails half-way", async (store) => {
      const failing = async function* (): ByteStream {
        yield bytes("half");
        throw new Error("the source broke");
      };
      await codeOf(() => store.put("new", failing(), { size: 8 }));
      expect(await store.head("new")).toBeUndefined();
      await put(store, "old", "whole");
      await codeOf(() => store.put("old", failing(), { size: 8 }));
      expect(await read(await store.get("old"))).toBe("whole");
    });
    withStore("reads ranges, end exclusive", async (store) => {
      await put(store, "key", "0123456789");
      expect(await read(await store.get("key", { range: { start: 3, end: 7 } }))).toBe("3456");
      expect(await read(await store.get("key", { range: { start: 9, end: 10 } }))).toBe("9");
    });
    withStore("carries large objects whole", async (store) => {
      const chunk = Buffer.alloc(1024 * 1024);
      const chunks = async function* (): ByteStream {
        for (let index = 0; index < 40; index += 1) yield Buffer.from(chunk.fill(index));
      };
      const hashOf = async (body: ByteStream): Promise<string> => {
        const hash = createHash("sha256");
        for await (const part of body) hash.update(part);
        return hash.digest("hex");
      };
      const size = 40 * chunk.byteLength;
      await store.put("large", chunks(), { size, ifAbsent: true });
      expect(await store.head("large")).toEqual({ size });
      expect(await hashOf(await store.get("large"))).toBe(await hashOf(chunks()));
    });
    withStore("deletes, twice without complaint", async (store) => {
      await put(store, "a/b", "1");
      await store.delete("a/b");
      await store.delete("a/b");
      expect(await store.head("a/b")).toBeUndefined();
      await put(store, "a/b", "2");
      expect(await read(await store.get("a/b"))).toBe("2");
    });
    withStore("lists by prefix in order of whole keys", async (store) => {
      const keys = ["a-b", "a.b", "a/b", "a/c/d", "a0", "b/a", "A"];
      for (const key of keys) await put(store, key, key);
      const sorted = [...keys].sort((a, b) => (a < b ? -1 : 1));
      expect((await store.list("")).keys).toEqual(sorted);
      expect((await store.list("a/")).keys).toEqual(["a/b", "a/c/d"]);
      expect((await store.list("a")).keys).toEqual(sorted.filter((key) => key.startsWith("a")));
      expect((await store.list("none/")).keys).toEqual([]);
    });
    withStore("pages through more than a thousand keys", async (store) => {
      const keys = Array.from({ length: 1_007 }, (_, index) => `page/${index % 10}/${String(index).padStart(5, "0")}`);
      for (let at = 0; at < keys.length; at += 20) {
        await Promise.all(keys.slice(at, at + 20).map((key) => put(store, key, "x")));
      }
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.list("page/", cursor);
        expect(page.keys.length).toBeLessThanOrEqual(1_000);
        found.push(...page.keys);
        cursor = page.next;
      } while (cursor !== undefined);
      expect(found).toEqual(keys.sort());
    });
    withStore("refuses keys that lead elsewhere", async (store) => {
      for (const key of ["", "/abs", "../up", "a/../b", "a//b", "./a", "a b", "a\\b", "k\0", "x".repeat(513)]) {
        expect([key, await codeOf(() => put(store, key, "1"))]).toEqual([key, "INVALID_INPUT"]);
        expect([key, await codeOf(() => store.get(key))]).toEqual([key, "INVALID_INPUT"]);
      }
    });
    withStore("stops when asked to", async (store) => {
      const controller = new AbortController();
      const body = async function* (): ByteStream {
        yield bytes("first");
        controller.abort();
        yield bytes("second");
      };
      const code = await codeOf(() => store.put("key", body(), { size: 11, signal: controller.signal }));
      expect(code).toBe("CANCELLED");
      expect(await store.head("key")).toBeUndefined();
    });
    withStore("signs URLs that read and write one key", async (store) => {
      if (!store.presign) return expect(store.presign).toBeUndefined();
      const content = "signed content";
      const checksum = createHash("sha256").update(content).digest("hex");
      const putUrl = await store.presign("signed/key", "PUT", { expiresSeconds: 60, checksum });
      const headers = { "x-amz-checksum-sha256": Buffer.from(checksum, "hex").toString("base64") };
      const wrong = await fetch(putUrl, { method: "PUT", body: "other content!", headers });
      expect(wrong.ok).toBe(false);
      expect(await store.head("signed/key")).toBeUndefined();
      const written = await fetch(putUrl, { method: "PUT", body: content, headers });
      expect([written.status, written.ok ? "" : await written.text()]).toEqual([200, ""]);
      const got = await fetch(await store.presign("signed/key", "GET", { expiresSeconds: 60 }));
      expect(await got.text()).toBe(content);
    });
    finish();
  });
}
