import { expect, test } from "vitest";
import { direct } from "./direct-imports.ts";

const places = new Map([
  [
    "@espalier/core",
    new Map([
      ["advise", { file: "/core/advice/advise.ts", name: "advise" }],
      ["rangeText", { file: "/core/advice/criteria.ts", name: "range" }],
    ]),
  ],
]);

test("names are imported from the files behind an index, types are left out, and what it does not name stays", () => {
  const text = `import {
  type Advice,
  advise,
  rangeText as words,
  unknown,
} from "@espalier/core";
import { parse } from "yaml";
import type { Answers } from "@espalier/core";
`;
  expect(direct(text, places)).toBe(
    `import { advise } from "/core/advice/advise.ts"; import { range as words } from "/core/advice/criteria.ts"; import { unknown } from "@espalier/core";
import { parse } from "yaml";
import type { Answers } from "@espalier/core";
`,
  );
});
