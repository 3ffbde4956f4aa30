import { EspalierError } from "@espalier/core";
import { check, property, string } from "fast-check";
import { expect, test } from "vitest";
import { mlflowReply } from "../mlflow-error.ts";
import { contentTypeOf } from "./content-types.ts";
import { artifactPath } from "./paths.ts";
import { readRange } from "./ranges.ts";
import { routableUrl } from "./routable-url.ts";

test.each([
  ["a/b.txt", "text/plain; charset=utf-8"],
  ["MLmodel", "text/plain; charset=utf-8"],
  ["a/conda.YAML", "text/plain; charset=utf-8"],
  ["script.js", "text/plain; charset=utf-8"],
  ["plot.png", "image/png"],
  ["page.html", "text/html"],
  ["model.onnx", "application/octet-stream"],
  ["a.png/b", "application/octet-stream"],
  ["none", "application/octet-stream"],
])("%s is %s", (path, type) => {
  expect(contentTypeOf(path)).toBe(type);
});

test.each([
  ["bytes=0-0", { start: 0, end: 1 }],
  ["bytes=9-", { start: 9, end: 10 }],
  ["bytes=-20", { start: 0, end: 10 }],
  ["bytes=3-3000", { start: 3, end: 10 }],
  ["bytes=10-11", "unsatisfiable"],
  ["bytes=1-0", undefined],
  ["bytes=0-1,3-4", undefined],
  ["bytes=0x1-2", undefined],
])("range %s of ten bytes", (header, range) => {
  expect(readRange(header, 10)).toEqual(range);
});

test("the router sees no escapes in the part of a URL that names a file", () => {
  const base = "/api/2.0/mlflow-artifacts";
  expect(routableUrl(`${base}/artifacts/1/50%.txt?a=%zz`)).toBe(`${base}/artifacts/file?a=%zz`);
  expect(routableUrl(`/ajax-api/2.0/mlflow-artifacts/mpu/create/%ff`)).toBe(
    "/ajax-api/2.0/mlflow-artifacts/mpu/create/file",
  );
  for (const url of [`${base}/artifacts/1/a`, `${base}/artifacts?path=%61`, "/api/v1/runs/%61", `${base}/%61/x`]) {
    expect(routableUrl(url)).toBe(url);
  }
});

test("a path that is taken has one form, stays below its root, and fits", () => {
  const pieces = string({ unit: "binary", maxLength: 40 });
  const result = check(
    property(pieces, (text) => {
      for (const given of [
        text,
        encodeURIComponent(text.toWellFormed()),
        text.replaceAll("a", "%2e").replaceAll("b", "%252f"),
      ]) {
        let path: string;
        try {
          path = artifactPath(given);
        } catch (error) {
          if (error instanceof EspalierError && error.message.startsWith("Invalid path")) continue;
          throw error;
        }
        if (artifactPath(path) !== path) return false;
        if (path.split("/").some((segment) => ["", ".", ".."].includes(segment))) return false;
        if (/[\\#?\0]/.test(path)) return false;
      }
      return true;
    }),
    { numRuns: 2000 },
  );
  expect(result.failed ? result.counterexample : undefined).toBeUndefined();
});

test("a full disk is told at once, not repeated by clients for minutes", () => {
  expect(mlflowReply(new EspalierError("DISK_FULL", "The disk is full"))).toMatchObject({ status: 507 });
  expect(mlflowReply(new EspalierError("TOO_LARGE", "Too large"))).toMatchObject({ status: 413 });
});
