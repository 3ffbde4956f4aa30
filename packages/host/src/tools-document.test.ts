import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { describeTools } from "./all-manifests.ts";
import { toolManifests } from "./tool-manifests.ts";
import { toolsDocument } from "./tools-document.ts";

test("docs/tools.md is what the manifests say", async () => {
  expect(await readFile(new URL("../../../docs/tools.md", import.meta.url), "utf8")).toBe(await toolsDocument());
});

test("tool-manifests.json is what the tools say, and every tool says what it means to own it", async () => {
  const described = await describeTools();
  expect(toolManifests).toEqual(JSON.parse(JSON.stringify(described)));
  expect(described.filter(({ manifest }) => manifest.ownership === undefined)).toEqual([]);
});
