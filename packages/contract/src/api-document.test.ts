import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { RouteDefinition } from "./route.ts";
import { routes } from "./routes.ts";

test("docs/api.md lists exactly the routes there are", async () => {
  const text = await readFile(new URL("../../../docs/api.md", import.meta.url), "utf8");
  const documented = text.split("\n").filter((line) => /^\| `\w+\.\w+` \|/.test(line));
  const wanted = (Object.entries(routes) as [string, RouteDefinition][]).map(
    ([name, route]) => `| \`${name}\` | ${route.role} | \`${route.method} ${route.path}\` | ${route.summary} |`,
  );
  expect(documented).toEqual(wanted);
});
