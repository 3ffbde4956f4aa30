import { writeJson } from "./int64-json.ts";
import { mlflowError } from "./mlflow-error.ts";

/** A request's members: of the JSON body, or of the query string, whose values are texts and repeated keys lists. */
export type Fields = Readonly<Record<string, unknown>>;

export type Integer = number | bigint;

const docs = "See the API docs for more information about request parameters.";

export function missing(name: string): never {
  throw mlflowError("INVALID_PARAMETER_VALUE", `Missing value for required parameter '${name}'. ${docs}`);
}

export function invalid(name: string, value: unknown): never {
  const shown = writeJson(value) ?? String(value);
  throw mlflowError(
    "INVALID_PARAMETER_VALUE",
    `Invalid value ${shown.slice(0, 200)} for parameter '${name}' supplied:  Hint: Value was of type '${pythonType(value)}'. ${docs}`,
  );
}

/** As MLflow's own server names types. */
function pythonType(value: unknown): string {
  if (Array.isArray(value)) return "list";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  return { string: "str", bigint: "int", boolean: "bool" }[typeof value as string] ?? "dict";
}

/** Absent, null and (as in protobuf) not given are one. */
const held = (fields: Fields, name: string): unknown => fields[name] ?? undefined;

export function optionalText(fields: Fields, name: string): string | undefined {
  const value = held(fields, name);
  if (value === undefined || typeof value === "string") return value;
  return invalid(name, value);
}

/** An empty text counts as missing, as MLflow's own server has it. */
export function requiredText(fields: Fields, name: string): string {
  const value = optionalText(fields, name);
  return value === undefined || value === "" ? missing(name) : value;
}

/** Ids that clients may send as numbers. */
export function optionalId(fields: Fields, name: string): string | undefined {
  const value = held(fields, name);
  return typeof value === "number" || typeof value === "bigint" ? String(value) : optionalText(fields, name);
}

export function requiredId(fields: Fields, name: string): string {
  const value = optionalId(fields, name);
  return value === undefined || value === "" ? missing(name) : value;
}

const leastInt64 = -(2n ** 63n);
const greatestInt64 = 2n ** 63n - 1n;

/** 64 bits; as a number or as text. Beyond 2^53 a bigint. */
export function optionalInteger(fields: Fields, name: string): Integer | undefined {
  const value = held(fields, name);
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  const text = typeof value === "number" && Number.isInteger(value) ? BigInt(value).toString() : String(value);
  if (typeof value !== "object" && typeof value !== "boolean" && /^[+-]?\d{1,20}$/.test(text)) {
    const whole = BigInt(text);
    if (whole >= leastInt64 && whole <= greatestInt64) {
      return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole;
    }
  }
  return invalid(name, value);
}

export function requiredInteger(fields: Fields, name: string): Integer {
  return optionalInteger(fields, name) ?? missing(name);
}

/** A number that is small by its nature, such as a page's size. */
export function optionalCount(fields: Fields, name: string): number | undefined {
  const value = optionalInteger(fields, name);
  return typeof value === "bigint" ? invalid(name, value) : value;
}

const doubles: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

export function requiredDouble(fields: Fields, name: string): number {
  const value = held(fields, name);
  if (value === undefined) return missing(name);
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string") {
    const known = doubles[value] ?? (value.trim() === "" ? Number.NaN : Number(value));
    if (value in doubles || !Number.isNaN(known)) return known;
  }
  return invalid(name, value);
}

export function optionalBoolean(fields: Fields, name: string): boolean | undefined {
  const value = held(fields, name);
  if (value === undefined || typeof value === "boolean") return value;
  if (value === "true" || value === "True") return true;
  if (value === "false" || value === "False") return false;
  return invalid(name, value);
}

/** A repeated key of a query string comes as a list, a single one as itself. */
function optionalList(fields: Fields, name: string): unknown[] {
  const value = held(fields, name);
  if (value === undefined) return [];
  return Array.isArray(value) ? value : typeof value === "string" ? [value] : invalid(name, value);
}

export function textList(fields: Fields, name: string): string[] {
  return optionalList(fields, name).map((item) => {
    if (typeof item === "string") return item;
    return typeof item === "number" || typeof item === "bigint" ? String(item) : invalid(name, item);
  });
}

/** Members of a list of objects. */
export function fieldsList(fields: Fields, name: string): Fields[] {
  return optionalList(fields, name).map((item, index) => asFields(item, `${name}[${index}]`));
}

export function asFields(value: unknown, name: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  return invalid(name, value);
}
