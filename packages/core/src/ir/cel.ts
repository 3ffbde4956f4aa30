import { type ASTNode, Environment } from "@marcbachmann/cel-js";
import type { Json } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";

/** What an expression reads: names of parameters, and `step` or `step.output`. */
export interface CelReads {
  params: string[];
  steps: { step: string; output?: string }[];
}

let shared: Environment | undefined;

function environment(): Environment {
  shared ??= new Environment({
    unlistedVariablesAreDyn: true,
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 500, maxDepth: 50, maxListElements: 200, maxMapEntries: 100, maxCallArguments: 8 },
  })
    // JSON does not tell 1 from 1.0, so `rate * 100` must not depend on whether the rate happened to be a whole number.
    .registerOperator("int + double", (a: bigint, b: number) => Number(a) + b)
    .registerOperator("double + int", (a: number, b: bigint) => a + Number(b))
    .registerOperator("int - double", (a: bigint, b: number) => Number(a) - b)
    .registerOperator("double - int", (a: number, b: bigint) => a - Number(b))
    .registerOperator("int * double", (a: bigint, b: number) => Number(a) * b)
    .registerOperator("double * int", (a: number, b: bigint) => a * Number(b))
    .registerOperator("int / double", (a: bigint, b: number) => Number(a) / b)
    .registerOperator("double / int", (a: number, b: bigint) => a / Number(b));
  return shared;
}

/** Parses an expression of `when:` or `map.over` and tells what it reads. Throws INVALID_PIPELINE. */
export function celReads(expression: string): CelReads {
  const reads: CelReads = { params: [], steps: [] };
  collect(parse(expression).ast, new Set(), reads);
  return reads;
}

/**
 * `variables` holds `params` and, under each step's name, its `value` outputs. Whole numbers are CEL integers, others doubles; both mix.
 * Throws INVALID_PIPELINE (syntax) and INVALID_INPUT (a value of the wrong kind, a member that is not there).
 */
export function evaluateCel(expression: string, variables: Readonly<Record<string, Json>>): Json {
  const program = parse(expression);
  try {
    return toJson(program(toCel(variables) as Record<string, unknown>));
  } catch (error) {
    throw new EspalierError("INVALID_INPUT", `\`${shown(expression)}\` can not be evaluated: ${firstLine(error)}`, {
      cause: error,
    });
  }
}

/** The verdict of a `when:`; anything but a boolean is INVALID_INPUT. */
export function evaluateWhen(expression: string, variables: Readonly<Record<string, Json>>): boolean {
  const result = evaluateCel(expression, variables);
  if (typeof result === "boolean") return result;
  throw new EspalierError(
    "INVALID_INPUT",
    `\`${shown(expression)}\` gives ${JSON.stringify(result)}, and \`when:\` needs true or false`,
  );
}

/** The items of a `map.over`; anything but a list is INVALID_INPUT. */
export function evaluateItems(expression: string, variables: Readonly<Record<string, Json>>): readonly Json[] {
  const result = evaluateCel(expression, variables);
  if (Array.isArray(result)) return result;
  throw new EspalierError(
    "INVALID_INPUT",
    `\`${shown(expression)}\` gives ${JSON.stringify(result)?.slice(0, 80)}, and \`map.over\` needs a list`,
  );
}

function parse(expression: string): ReturnType<Environment["parse"]> {
  try {
    return environment().parse(expression);
  } catch (error) {
    throw new EspalierError(
      "INVALID_PIPELINE",
      `\`${shown(expression)}\` is not a valid CEL expression: ${firstLine(error)}`,
      {
        cause: error,
        hint: 'Examples: `params.mode == "full"`, `split.parts.size() > 3`, `report.late_rate < 0.3`.',
      },
    );
  }
}

const shown = (expression: string): string =>
  expression.length <= 120 ? expression : `${expression.slice(0, 117)}...`;

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";

/** Types and namespaces of CEL, which hide a step of the same name. */
const celNames = new Set([
  "bool",
  "bytes",
  "double",
  "google",
  "int",
  "list",
  "map",
  "null_type",
  "optional",
  "string",
  "type",
  "uint",
]);
const macros = new Set(["map", "filter", "all", "exists", "exists_one"]);

function collect(node: ASTNode, bound: ReadonlySet<string>, reads: CelReads) {
  if (node.op === "." && node.args[0].op === "id" && typeof node.args[1] === "string") {
    return addRead(node.args[0].args, node.args[1], bound, reads);
  }
  if (
    node.op === "[]" &&
    node.args[0].op === "id" &&
    node.args[1].op === "value" &&
    typeof node.args[1].args === "string"
  ) {
    return addRead(node.args[0].args, node.args[1].args, bound, reads);
  }
  if (node.op === "id") return addRead(node.args, undefined, bound, reads);
  if (node.op === "rcall" && macros.has(node.args[0]) && node.args[2][0]?.op === "id") {
    collect(node.args[1], bound, reads);
    const inner = new Set([...bound, node.args[2][0].args]);
    for (const argument of node.args[2].slice(1)) collect(argument, inner, reads);
    return;
  }
  for (const child of nodesIn(node.args)) collect(child, bound, reads);
}

/** Operands differ by operator; whatever looks like a node among them is one. */
function nodesIn(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(nodesIn);
  if (typeof args === "object" && args !== null && "op" in args) return [args as ASTNode];
  return [];
}

function addRead(root: string, member: string | undefined, bound: ReadonlySet<string>, reads: CelReads): void {
  if (bound.has(root)) return;
  if (member !== undefined && celNames.has(root)) {
    throw new EspalierError(
      "INVALID_PIPELINE",
      `\`${root}.${member}\` reads no step: CEL has a \`${root}\` of its own`,
      {
        hint: "Give the step another name.",
      },
    );
  }
  if (root === "params") {
    if (member !== undefined) reads.params.push(member);
  } else reads.steps.push(member === undefined ? { step: root } : { step: root, output: member });
}

function toCel(value: Json): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toCel(member)]));
  }
  return value;
}

function toJson(value: unknown): Json {
  if (typeof value === "bigint") return Number(value);
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, member]) => [String(key), toJson(member)]));
  if (typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toJson(member)]));
  }
  throw new EspalierError("INVALID_INPUT", `The expression gives a ${typeof value} that JSON does not have`);
}
