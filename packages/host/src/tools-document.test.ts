import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { toolsDocument } from "./tools-document.ts";

test("docs/tools.md is what the manifests say", async () => {
  expect(await readFile(new URL("../../../docs/tools.md", import.meta.url), "utf8")).toBe(await toolsDocument());
});
