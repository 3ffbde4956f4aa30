import { type DataStepContext, EspalierError, type Json, type ValidationReport } from "@espalier/core";
import { createDuckdbDataValidator } from "../duckdb-data-validator.ts";
import { fitting, writeValue } from "./value-output.ts";
import { readYaml } from "./yaml-input.ts";

/** Failing rows of each fatal rule that the log shows. */
const loggedSamples = 5;

export async function runValidate(context: DataStepContext): Promise<void> {
  const { data, rules, ...tables } = context.inputs;
  const report = await createDuckdbDataValidator().validate({
    dataPath: data ?? "",
    rules: await readYaml(rules ?? "", "rules"),
    tables,
    ...(context.outputs.data === undefined ? {} : { validPath: context.outputs.data }),
    ...(context.outputs.quarantine === undefined ? {} : { quarantinePath: context.outputs.quarantine }),
  });
  await writeValue(context.outputs.report, fitting(thinner(report)));
  context.emit({ type: "metric", key: "rows", value: report.rows });
  context.emit({ type: "metric", key: "rows.quarantined", value: report.quarantined });
  context.emit({ type: "metric", key: "rules.failed", value: report.results.filter((rule) => !rule.passed).length });
  context.emit({ type: "tag", key: "validation.outcome", value: report.passed ? "passed" : "failed" });
  for (const result of report.results) {
    if (result.passed) continue;
    context.emit({ type: "note", text: `${result.severity}: ${sentence(result)}` });
    process.stdout.write(`${result.severity}: ${sentence(result)}\n`);
  }
  if (report.passed) return;
  // Outputs of a failed step are not taken in, so its log is where the rows are seen.
  for (const result of report.results) {
    if (result.passed || result.severity === "warn") continue;
    for (const sample of result.samples.slice(0, loggedSamples)) {
      process.stderr.write(`${result.rule}: row ${sample.row} ${JSON.stringify(sample.values)}\n`);
    }
  }
  throw failure(report);
}

function failure(report: ValidationReport): EspalierError {
  const fatal = report.results.filter((result) => !result.passed && result.severity !== "warn");
  return new EspalierError(
    "INVALID_DATA",
    `The data breaks ${fatal.length === 1 ? "a rule" : `${fatal.length} rules`}: ${fatal.map(sentence).join("; ")}`,
    {
      at: "inputs.data",
      hint: "Failing rows are listed above. Use `severity: quarantine` for rows that can be set aside, or a `tolerance`.",
    },
  );
}

function sentence(result: ValidationReport["results"][number]): string {
  const rowRule = result.samples.length > 0 || result.observed === undefined;
  const found = rowRule
    ? `${result.failed} of ${result.checked} rows fail`
    : `found ${JSON.stringify(result.observed as Json)}`;
  return `${result.rule}: expected ${result.expectation}, ${found}`;
}

/** A value output is bounded: samples go first, from the longest lists down. */
function* thinner(report: ValidationReport): Iterable<ValidationReport> {
  for (const limit of [20, 10, 5, 2, 0]) {
    yield {
      ...report,
      results: report.results.map((result) => ({ ...result, samples: result.samples.slice(0, limit) })),
    };
  }
}
