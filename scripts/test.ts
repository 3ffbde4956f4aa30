import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/**
 * `npm test`: runs every suite, prints the reason of each skipped test, and ends with the sum.
 * Arguments go to Vitest, so `npm test -- packages/core` runs a part.
 */
const root = resolve(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "espalier-test-"));
const reportPath = join(scratch, "report.json");

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string }[];
  }[];
}

const vitest = spawnSync(
  process.execPath,
  [
    join(root, "node_modules/vitest/vitest.mjs"),
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${reportPath}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: "inherit" },
);

let report: Report;
try {
  report = JSON.parse(readFileSync(reportPath, "utf8"));
} catch (error) {
  console.error(`Vitest left no report (exit ${vitest.status}): ${error}`);
  process.exit(1);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const brokenFiles = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
const skipped = report.testResults.flatMap((file) =>
  file.assertionResults
    .filter((result) => result.status === "skipped" || result.status === "pending" || result.status === "todo")
    .map((result) => `${file.name.slice(root.length + 1)}: ${result.fullName}`),
);
for (const line of skipped) console.log(`skipped: ${line}`);
const failed = report.numFailedTests + brokenFiles.length;
console.log(`${report.numPassedTests} passed, ${failed} failed, ${skipped.length} skipped`);
process.exit(vitest.status === 0 && failed === 0 && report.numPassedTests > 0 ? 0 : 1);
