import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Artifacts, digestOfBytes } from "@espalier/core";
import { createLocalFiles } from "@espalier/embedded";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDigestMemo } from "./digest-memo.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "espalier-memo-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const held = new Set<string>();
const artifacts = { exists: async (ref) => held.has(ref.digest) } as Pick<Artifacts, "exists"> as Artifacts;

test("a file is remembered once its time stamps are old, and forgotten when its blob is gone", async () => {
  const path = join(folder, "data");
  writeFileSync(path, "1");
  let puts = 0;
  const put = async (): ReturnType<Artifacts["putBytes"]> => {
    puts += 1;
    const digest = digestOfBytes("1");
    held.add(digest);
    return { type: "file", digest, size: 1 };
  };
  const fresh = await openDigestMemo(folder, artifacts, createLocalFiles());
  await fresh.publish(path, put);
  await fresh.publish(path, put);
  expect(puts).toBe(2);

  // Change times can not be set, so "now" moves instead.
  const now = Date.now;
  Date.now = () => now() + 60_000;
  try {
    await fresh.publish(path, put);
    await fresh.save();
    const later = await openDigestMemo(folder, artifacts, createLocalFiles());
    await later.publish(path, put);
    expect(puts).toBe(3);
    held.clear();
    await later.publish(path, put);
    expect(puts).toBe(4);
    utimesSync(path, 1, 1);
    await later.publish(path, put);
    expect(puts).toBe(5);
  } finally {
    Date.now = now;
  }
});
