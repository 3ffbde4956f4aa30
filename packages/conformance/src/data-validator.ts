import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DataValidator, Json, ValidationReport } from "@espalier/core";
import { caseRunner, type Skips, type TestRunner } from "./suite.ts";

export interface DataValidatorSubject {
  open(): Promise<DataValidator>;
  /** The rows of a table that the validator wrote. */
  readTable(path: string): Promise<Readonly<Record<string, Json>>[]>;
  skips?: Skips;
}

const csv = `id,amount,country,born
1,10.5,ES,2001-01-01
2,-3,FR,2001-01-02
3,,ES,2001-01-03
4,99,XX,2001-01-04
4,20,FR,2001-01-05
`;

interface Workspace {
  folder: string;
  validator: DataValidator;
  validate(rules: Json, extra?: object): Promise<ValidationReport>;
  /** Whether one rule passes, and its checked and failed rows. */
  outcome(rule: Json): Promise<unknown[]>;
}

/** Every data validator passes this: counts, samples, quarantine, and errors that name the place. */
export function dataValidatorConformance(runner: TestRunner, subject: DataValidatorSubject): void {
  const { expect } = runner;
  const { it, finish } = caseRunner(runner, subject.skips);
  const withData = (name: string, body: (workspace: Workspace) => Promise<void>): void =>
    it(name, async () => {
      const folder = await mkdtemp(join(tmpdir(), "espalier-validator-"));
      try {
        const dataPath = join(folder, "data");
        await writeFile(dataPath, csv);
        const validator = await subject.open();
        const validate: Workspace["validate"] = (rules, extra = {}) =>
          validator.validate({ dataPath, rules: { rules }, ...extra });
        const outcome = async (rule: Json): Promise<unknown[]> => {
          const result = (await validate([rule])).results[0];
          return [result?.passed, result?.checked, result?.failed];
        };
        await body({ folder, validator, validate, outcome });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });

  runner.describe("data validator conformance", () => {
    withData("counts checked and failed rows for each kind of row rule", async ({ outcome }) => {
      expect(await outcome({ rule: "not_null", column: "amount" })).toEqual([false, 5, 1]);
      expect(await outcome({ rule: "range", column: "amount", min: 0 })).toEqual([false, 5, 1]);
      expect(await outcome({ rule: "range", column: "amount", min: 10.5, strict: true })).toEqual([false, 5, 2]);
      expect(await outcome({ rule: "range", column: "born", max: "2001-01-03" })).toEqual([false, 5, 2]);
      expect(await outcome({ rule: "in_set", column: "country", values: ["ES", "FR"] })).toEqual([false, 5, 1]);
      expect(await outcome({ rule: "matches", column: "country", pattern: "[A-Z]" })).toEqual([false, 5, 5]);
      expect(await outcome({ rule: "length", column: "country", min: 2, max: 2 })).toEqual([true, 5, 0]);
      expect(await outcome({ rule: "unique", columns: ["id"] })).toEqual([false, 5, 1]);
      expect(await outcome({ rule: "compare", left: "id", op: "<", right: "amount" })).toEqual([false, 5, 1]);
      expect(await outcome({ rule: "sql", query: "SELECT * FROM data WHERE id > 3" })).toEqual([false, 2, 2]);
    });

    withData("decides what NULL means", async ({ outcome }) => {
      expect(await outcome({ rule: "range", column: "amount", min: -10 })).toEqual([true, 5, 0]);
      expect(await outcome({ rule: "range", column: "amount", min: -10, nulls: "fail" })).toEqual([false, 5, 1]);
      expect(await outcome({ rule: "sql", predicate: "amount > -10" })).toEqual([false, 5, 1]);
      expect(await outcome({ rule: "sql", predicate: "amount > -10", nulls: "pass" })).toEqual([true, 5, 0]);
      expect(await outcome({ rule: "range", column: "id", min: 4, where: "amount > 15" })).toEqual([true, 2, 0]);
    });

    withData("judges the table as a whole", async ({ validate }) => {
      const report = await validate([
        { rule: "schema", columns: { id: "integer", country: "string" }, extra: "allow" },
        { rule: "row_count", min: 5, max: 5 },
        { rule: "aggregate", function: "mean", column: "amount", min: 31, max: 32 },
        { rule: "aggregate", function: "null_share", column: "amount", max: 0.1 },
        { rule: "aggregate", function: "quantile", q: 0.5, column: "id", min: 3, max: 3 },
        { rule: "freshness", column: "born", max_age_hours: 24, now: "2001-01-06T00:00:00Z" },
        { rule: "freshness", column: "born", max_age_hours: 23, now: "2001-01-06T00:00:00Z" },
        { rule: "schema", columns: { id: "string", gone: "any" }, extra: "forbid" },
      ]);
      expect(report.results.map((result) => result.passed)).toEqual([
        true,
        true,
        true,
        false,
        true,
        true,
        false,
        false,
      ]);
      expect(report.results[2]?.observed).toBe(31.625);
      expect(report.results[7]?.observed).toEqual([
        "id is BIGINT, not string",
        "gone is missing",
        "not expected: amount, country, born",
      ]);
    });

    withData("honours tolerance, severity and samples with their row number", async ({ validate }) => {
      const report = await validate([
        { rule: "not_null", column: "amount", tolerance: 0.2 },
        { rule: "in_set", column: "country", values: ["ES"], severity: "warn" },
      ]);
      expect(report.passed).toBe(true);
      expect(report.results[1]).toMatchObject({ passed: false, failed: 3, severity: "warn" });
      expect(report.results[1]?.samples.map((sample) => sample.row)).toEqual([2, 4, 5]);
      expect(report.results[1]?.samples[0]?.values.country).toBe("FR");
    });

    withData(
      "sets aside rows that break a quarantine rule, and writes the rest in order",
      async ({ folder, validate }) => {
        const paths = { validPath: join(folder, "valid.parquet"), quarantinePath: join(folder, "quarantine.parquet") };
        const report = await validate(
          [
            { rule: "range", column: "amount", min: 0, severity: "quarantine", name: "amount is positive" },
            { rule: "unique", columns: ["id"], severity: "quarantine" },
          ],
          paths,
        );
        expect(report).toMatchObject({ passed: true, rows: 5, quarantined: 2 });
        expect((await subject.readTable(paths.validPath)).map((row) => row.id)).toEqual([1, 3, 4]);
        const aside = await subject.readTable(paths.quarantinePath);
        expect(aside.map((row) => row._rule)).toEqual(["amount is positive", "unique(id)"]);
      },
    );

    withData("fails a quarantine rule that more rows break than it tolerates", async ({ validate }) => {
      const rule = { rule: "in_set", column: "country", values: ["ES"], severity: "quarantine", tolerance: 0.1 };
      expect((await validate([rule])).passed).toBe(false);
    });

    withData("looks values up in another table", async ({ folder, validate }) => {
      const countries = join(folder, "countries");
      await writeFile(countries, "code\nES\nFR\n");
      const rule = { rule: "references", column: "country", table: "countries", table_column: "code" };
      const report = await validate([rule], { tables: { countries } });
      expect(report.results[0]).toMatchObject({ passed: false, checked: 5, failed: 1 });
      expect(report.results[0]?.samples[0]?.values.country).toBe("XX");
      await expect(validate([rule])).rejects.toMatchObject({ code: "INVALID_CONFIG", at: "rules[0].table" });
      const misnamed = { ...rule, table_column: "country" };
      await expect(validate([misnamed], { tables: { countries } })).rejects.toMatchObject({ code: "INVALID_DATA" });
    });

    withData("names the place of every fault in the rules", async ({ validate }) => {
      const faulty = [
        { rule: "not_null" },
        { rule: "rnage", column: "id", min: 0 },
        { rule: "range", column: "id", min: 5, max: 1 },
        { rule: "not_null", column: "id", tolerence: 0.1 },
      ];
      await expect(validate(faulty)).rejects.toMatchObject({
        code: "INVALID_CONFIG",
        message: expect.stringMatching(/rules\[0\]\.column.*rules\[1\]\.rule.*rules\[2\]\.min.*rules\[3\].*tolerence/s),
      });
    });

    withData("names the rule whose SQL or types do not fit the data", async ({ validate }) => {
      const sound = { rule: "not_null", column: "id" };
      await expect(validate([sound, { rule: "sql", predicate: "amuont > 1" }])).rejects.toMatchObject({
        code: "INVALID_CONFIG",
        at: "rules[1]",
        message: expect.stringContaining("amuont"),
      });
      await expect(validate([{ rule: "range", column: "country", min: 1 }])).rejects.toMatchObject({ at: "rules[0]" });
      await expect(validate([{ rule: "row_count", min: 1, severity: "quarantine" }])).rejects.toMatchObject({
        code: "INVALID_CONFIG",
        at: "rules[0].severity",
      });
    });

    withData("names a column that vanished and the columns there are", async ({ validate }) => {
      await expect(validate([{ rule: "not_null", column: "delay" }])).rejects.toMatchObject({
        code: "INVALID_DATA",
        message: expect.stringContaining("`delay`"),
        hint: expect.stringContaining("id, amount, country, born"),
      });
    });

    withData("names a file that can not be read", async ({ folder, validator }) => {
      const damaged = join(folder, "damaged");
      await writeFile(damaged, "PAR1 and then nothing of use");
      const request = { dataPath: damaged, rules: { rules: [{ rule: "row_count", min: 1 }] } };
      await expect(validator.validate(request)).rejects.toMatchObject({ code: "INVALID_DATA", at: damaged });
    });
    finish();
  });
}
