export { type CompiledRules, compileRules } from "./rules/compile.ts";
export { expectation, ruleName } from "./rules/describe.ts";
export { parseRules } from "./rules/parse.ts";
export { rowNumberColumn } from "./rules/predicate.ts";
export { type Rule, ruleSchema } from "./rules/schema.ts";
export type { TableColumn } from "./rules/table-checks.ts";
export { type RowsOf, validateTable } from "./rules/validate.ts";
export { identifier, literal } from "./sql-text.ts";
