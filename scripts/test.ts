import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/**
 * `npm test`: runs every suite, prints the reason of each skipped test, and ends with the sum. Where a few files fail they are run once
 * more, alone: what then passes is named as unsteady.
 * Arguments go to Vitest, so `npm test -- packages/core` runs a part.
 */
const root = resolve(import.meta.dirname, "..");
/** Files. Where more fail, it is no chance. */
const mostLookedAtAgain = 3;

interface Report {
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string }[];
  }[];
}

/** A suite's result, and its report. Without a report nothing is known, and the script ends. */
function runVitest(...words: string[]): { status: number | null; report: Report } {
  const scratch = mkdtempSync(join(tmpdir(), "espalier-test-"));
  const reportPath = join(scratch, "report.json");
  const { status } = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${reportPath}`,
      ...words,
    ],
    { cwd: root, stdio: "inherit" },
  );
  try {
    return { status, report: JSON.parse(readFileSync(reportPath, "utf8")) as Report };
  } catch (error) {
    console.error(`Vitest left no report (exit ${status}): ${error}`);
    process.exit(1);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const words = process.argv.slice(2);
let { status, report } = runVitest(...words);
const failedFiles = report.testResults.filter((file) => file.status === "failed");
// docs/decisions/2026-11-27-second-look-at-failed-tests.md
if (words.length === 0 && failedFiles.length > 0 && failedFiles.length <= mostLookedAtAgain) {
  const names = failedFiles.map((file) => file.name.slice(root.length + 1));
  console.log(`\nOnce more, with nothing beside them: ${names.join(", ")}`);
  const again = runVitest("--maxWorkers=1", ...names);
  const passed = again.report.testResults.filter((file) => file.status === "passed").map((file) => file.name);
  for (const file of failedFiles.filter(({ name }) => passed.includes(name))) {
    const tests = file.assertionResults.filter((result) => result.status === "failed").map(({ fullName }) => fullName);
    console.log(
      `unsteady: ${file.name.slice(root.length + 1)}: ${tests.join("; ") || file.message} (failed, then passed)`,
    );
  }
  const rest = report.testResults.filter((file) => !failedFiles.includes(file));
  status = again.status;
  report = { testResults: [...rest, ...again.report.testResults] };
}

const results = report.testResults.flatMap((file) => file.assertionResults);
const brokenFiles = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
const skipped = report.testResults.flatMap((file) =>
  file.assertionResults
    .filter((result) => result.status === "skipped" || result.status === "pending" || result.status === "todo")
    .map((result) => `${file.name.slice(root.length + 1)}: ${result.fullName}`),
);
for (const line of skipped) console.log(`skipped: ${line}`);
const passed = results.filter((result) => result.status === "passed").length;
const failed = results.filter((result) => result.status === "failed").length + brokenFiles.length;
console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
process.exit(status === 0 && failed === 0 && passed > 0 ? 0 : 1);
