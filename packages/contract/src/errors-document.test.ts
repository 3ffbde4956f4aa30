import { readFile } from "node:fs/promises";
import { errorTable } from "@espalier/core";
import { expect, test } from "vitest";

interface Row {
  httpStatus: number;
  exitCode: number;
  retryable: boolean;
}

test("docs/errors.md and the error table say the same, in both directions", async () => {
  const text = await readFile(new URL("../../../docs/errors.md", import.meta.url), "utf8");
  const documented: Record<string, Row> = {};
  for (const [, code = "", status, exit, retry] of text.matchAll(
    /^\| `([A-Z_]+)` \| (\d+) \| (\d+) \| (yes|no) \| \S.* \|$/gm,
  )) {
    expect(documented, `${code} is documented twice`).not.toHaveProperty(code);
    documented[code] = { httpStatus: Number(status), exitCode: Number(exit), retryable: retry === "yes" };
  }
  expect(documented).toEqual(errorTable);
});
