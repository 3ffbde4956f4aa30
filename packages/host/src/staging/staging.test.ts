import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readEventFile } from "./events.ts";
import { parseRule } from "./ignore.ts";
import { maskFile, readMasked, secretBytes } from "./mask.ts";
import { inheritedVariables } from "./variables.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "espalier-staging-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a secret is masked wherever chunks are cut, and offsets stay true", async () => {
  const secret = "correct horse battery staple";
  const chunk = createReadStream(folder).readableHighWaterMark;
  const text = `${"x".repeat(chunk - 10)}${secret}\n${"y".repeat(chunk - 5)}${secret}`;
  const path = join(folder, "log");
  writeFileSync(path, text);
  await maskFile(path, join(folder, "masked"), secretBytes([secret]));
  const masked = readFileSync(join(folder, "masked"), "utf8");
  expect(masked).toHaveLength(text.length);
  expect(masked).not.toContain("horse");
  expect(masked.replaceAll("*", "")).toBe(text.replaceAll(secret, ""));

  let read = "";
  for (let offset = 0; ; ) {
    const { bytes, next } = await readMasked(path, offset, 1000, secretBytes([secret]), true);
    if (next === offset) break;
    read += Buffer.from(bytes).toString();
    offset = next;
  }
  expect(read).toBe(masked);
});

test("the beginning of a secret waits until it is known to be one", async () => {
  const path = join(folder, "log");
  writeFileSync(path, "word: correct ho");
  const secrets = secretBytes(["correct horse"]);
  const first = await readMasked(path, 0, 1000, secrets, false);
  expect(Buffer.from(first.bytes).toString()).toBe("word: ");
  writeFileSync(path, "rse!\n", { flag: "a" });
  const second = await readMasked(path, first.next, 1000, secrets, false);
  expect(Buffer.from(second.bytes).toString()).toBe("*************!\n");
});

test("events are whole lines; anything else becomes a note", async () => {
  const path = join(folder, "events.jsonl");
  writeFileSync(path, '{"type":"metric","key":"auc","value":0.7,"timestamp":1}\nnot json\n{"type":"metric","key":');
  const first = await readEventFile(path, 0);
  expect(first.events[0]).toEqual({ type: "metric", key: "auc", value: 0.7, timestamp: 1 });
  expect(first.events[1]).toMatchObject({ type: "note", text: "not json" });
  writeFileSync(path, '"loss","value":"NaN"}', { flag: "a" });
  const second = await readEventFile(path, first.next);
  expect(second.events).toMatchObject([{ type: "metric", key: "loss", value: "NaN" }]);
  expect((await readEventFile(path, second.next)).events).toEqual([]);
});

test.each([
  ["*.log", "a/b.log", true],
  ["*.log", "a.logs", false],
  ["/data", "data/x.csv", true],
  ["/data", "src/data/x.csv", false],
  ["build/", "src/build/x", true],
  ["a/**/b", "a/x/y/b", true],
  ["a/**/b", "a/b", true],
  ["**/cache", "x/cache/y", true],
  ["out?", "out1", true],
  ["a+b", "aab", false],
])("the ignore rule %s on %s: %s", (rule, path, matches) => {
  expect(parseRule(rule).pattern.test(path)).toBe(matches);
});

test("a step does not inherit credentials of the control plane", () => {
  expect(inheritedVariables({ PATH: "/bin", AWS_SECRET_ACCESS_KEY: "x", LC_ALL: "C" })).toEqual({
    PATH: "/bin",
    LC_ALL: "C",
  });
});
