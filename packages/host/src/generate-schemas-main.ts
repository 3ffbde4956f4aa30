import { mkdir, writeFile } from "node:fs/promises";
import { recordBuiltins } from "@espalier/core";
import { describeTools } from "./all-manifests.ts";
import { loadEmbeddedParts } from "./embedded-parts.ts";
import { publishedSchemas } from "./json-schemas.ts";
import { toolsDocument } from "./tools-document.ts";

/** Writes docs/schemas, docs/tools.md and tool-manifests.json. Tests of the host package fail when they are not current. */
const { dataBuiltins } = await loadEmbeddedParts();
const folder = new URL("../../../docs/schemas/", import.meta.url);
await mkdir(folder, { recursive: true });
for (const [name, schema] of Object.entries(publishedSchemas([...dataBuiltins, ...Object.values(recordBuiltins)]))) {
  await writeFile(new URL(name, folder), `${JSON.stringify(schema, null, 2)}\n`);
}
await writeFile(new URL("../../../docs/tools.md", import.meta.url), await toolsDocument());
await writeFile(new URL("tool-manifests.json", import.meta.url), `${JSON.stringify(await describeTools(), null, 2)}\n`);
