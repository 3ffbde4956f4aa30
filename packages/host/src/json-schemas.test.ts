import { readFileSync } from "node:fs";
import { recordBuiltins } from "@espalier/core";
import { dataBuiltins } from "@espalier/embedded";
import { expect, test } from "vitest";
import { publishedSchemas } from "./json-schemas.ts";

const schemas = publishedSchemas([...dataBuiltins, ...Object.values(recordBuiltins)]);

test.each(Object.entries(schemas))(
  "docs/schemas/%s is current (node packages/host/src/generate-schemas-main.ts)",
  (name, schema) => {
    const published = readFileSync(new URL(`../../../docs/schemas/${name}`, import.meta.url), "utf8");
    expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(schema)));
  },
);
