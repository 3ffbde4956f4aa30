import type { z } from "zod";
import { closest, didYouMean } from "./closest.ts";
import type { ErrorCode } from "./errors.ts";
import { type Fault, jsonPointer, pointerPath } from "./fault.ts";

type Path = PropertyKey[];
type Issue = z.core.$ZodIssue;

/** A document checked against a schema: all its faults, and what remains of it without the faulty members. */
export interface Salvaged<Value> {
  faults: Fault[];
  /** Absent when nothing sensible remains. */
  value?: Value;
}

/**
 * Reports every fault of shape at once, then takes the faulty members out, so that later checks can go on and report theirs too.
 * `fallbacks` fills in members that must be there, by pointer.
 */
export function salvage<Value>(
  schema: z.ZodType<Value>,
  document: unknown,
  code: ErrorCode,
  fallbacks: Readonly<Record<string, unknown>> = {},
): Salvaged<Value> {
  const first = schema.safeParse(document);
  if (first.success) return { faults: [], value: first.data };
  const told = first.error.issues.flatMap((issue) => describe(flatten(issue), document, schema, code));
  const faults = told.filter((fault) => fault.check !== "missing-key" || !isMisspelt(fault, told));
  let remaining: unknown = structuredClone(document);
  let issues: readonly Issue[] = first.error.issues;
  for (let round = 0; round < 20; round += 1) {
    for (const issue of issues.flatMap(flatten)) {
      if (issue.path.length === 0 && issue.code !== "unrecognized_keys") return { faults };
      remaining = without(remaining, issue, schema, fallbacks);
    }
    const again = schema.safeParse(remaining);
    if (again.success) return { faults, value: again.data };
    issues = again.error.issues;
  }
  return { faults };
}

/** What is missing because its name is misspelt is told once, by the unknown name. */
function isMisspelt(missing: Fault, faults: readonly Fault[]): boolean {
  const path = pointerPath(missing.pointer);
  return faults.some((fault) => {
    const other = pointerPath(fault.pointer);
    const beside = fault.check === "unknown-key" && jsonPointer(other.slice(0, -1)) === jsonPointer(path.slice(0, -1));
    return beside && closest(other.at(-1) ?? "", [path.at(-1) ?? ""]) !== undefined;
  });
}

/** A union fails as a whole; the alternative that was meant is the one that fits best. */
function flatten(issue: Issue): Issue[] {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return [issue];
  const fitting = issue.errors.filter(
    (errors) => !(errors.length === 1 && errors[0]?.code === "invalid_type" && errors[0].path.length === 0),
  );
  const best = fitting.sort((a, b) => a.length - b.length)[0];
  if (best === undefined) return [issue];
  return best.flatMap((inner) => flatten({ ...inner, path: [...issue.path, ...inner.path] } as Issue));
}

function describe(issues: readonly Issue[], document: unknown, schema: z.ZodType, code: ErrorCode): Fault[] {
  return issues.flatMap((issue): Fault[] => {
    const fault = (path: Path, check: string, message: string, hint?: string): Fault => ({
      code,
      check,
      message,
      pointer: jsonPointer(path),
      ...(hint === undefined ? {} : { hint }),
    });
    const found = at(document, issue.path);
    const name = issue.path.length === 0 ? "the document" : `\`${issue.path.map(String).join(".")}\``;
    if (issue.code === "unrecognized_keys") {
      const known = keysAt(schema, issue.path);
      return issue.keys.map((key) =>
        fault([...issue.path, key], "unknown-key", `unknown key \`${key}\``, didYouMean(key, known, "keys")),
      );
    }
    if (issue.code === "invalid_key") {
      return [fault(issue.path, "name", `${name} is not a valid name: ${issue.issues[0]?.message ?? "invalid"}`)];
    }
    if (found === undefined) return [fault(issue.path, "missing-key", `${name} is missing`)];
    if (issue.code === "invalid_type" || issue.code === "invalid_union") {
      const expected = issue.code === "invalid_type" ? kindName(issue.expected) : alternatives(issue);
      return [fault(issue.path, "wrong-type", `${name} must be ${expected}, and is ${shown(found)}`)];
    }
    if (issue.code === "invalid_value") {
      const values = issue.values.map(String);
      return [
        fault(
          issue.path,
          "wrong-value",
          `${name} must be ${values.join(", ").replace(/, ([^,]*)$/, " or $1")}, and is ${shown(found)}`,
          typeof found === "string" ? didYouMean(found, values, "values") : undefined,
        ),
      ];
    }
    return [fault(issue.path, "wrong-value", `${name} is ${shown(found)}: ${issue.message}`)];
  });
}

function alternatives(issue: Extract<Issue, { code: "invalid_union" }>): string {
  const kinds = issue.errors.flatMap((errors) =>
    errors[0]?.code === "invalid_type" ? [kindName(errors[0].expected)] : [],
  );
  return kinds.length === 0 ? issue.message : [...new Set(kinds)].join(" or ");
}

const kindNames: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
};
const kindName = (expected: string): string => kindNames[expected] ?? expected;

function shown(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  if (typeof value === "string")
    return `the text ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)}`;
  return String(value);
}

function at(document: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, segment) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[segment] : undefined,
    document,
  );
}

/** A misspelt member is taken for what it was meant to be, so that it is not told to be missing as well, and its value is checked too. */
function respell(owner: Record<PropertyKey, unknown>, keys: readonly string[], known: readonly string[]): void {
  for (const key of keys) {
    const meant = closest(key, known);
    if (meant !== undefined && !Object.hasOwn(owner, meant)) owner[meant] = owner[key];
    Reflect.deleteProperty(owner, key);
  }
}

const isMapping = (value: unknown): value is Record<PropertyKey, unknown> =>
  typeof value === "object" && value !== null;

function without(
  document: unknown,
  issue: Issue,
  schema: z.ZodType,
  fallbacks: Readonly<Record<string, unknown>>,
): unknown {
  if (issue.code === "unrecognized_keys") {
    const owner = at(document, issue.path);
    if (isMapping(owner)) respell(owner, issue.keys, keysAt(schema, issue.path));
    return document;
  }
  const owner = at(document, issue.path.slice(0, -1));
  const last = issue.path.at(-1);
  if (typeof owner !== "object" || owner === null || last === undefined) return document;
  const fallback = fallbacks[jsonPointer(issue.path)];
  if (fallback !== undefined) Object.assign(owner, { [last]: fallback });
  else if (Array.isArray(owner) && typeof last === "number") owner.splice(last, 1);
  else if (Object.hasOwn(owner, last)) Reflect.deleteProperty(owner, last);
  // A member that must be there is not: its owner has to go as well.
  else
    return without(document, { ...issue, path: issue.path.slice(0, -1), code: "custom" } as Issue, schema, fallbacks);
  return document;
}

/** The keys that a schema knows at a path. */
export function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const def = schema._zod.def as {
    type: string;
    innerType?: z.core.$ZodType;
    options?: readonly z.core.$ZodType[];
    shape?: Record<string, z.core.$ZodType>;
    valueType?: z.core.$ZodType;
    element?: z.core.$ZodType;
    getter?: () => z.core.$ZodType;
  };
  if (def.innerType !== undefined) return keysAt(def.innerType, path);
  if (def.getter !== undefined && def.type === "lazy") return path.length > 8 ? [] : keysAt(def.getter(), path);
  if (def.options !== undefined) return [...new Set(def.options.flatMap((option) => keysAt(option, path)))];
  const [head, ...rest] = path;
  if (def.shape !== undefined) {
    if (head === undefined) return Object.keys(def.shape);
    const member = def.shape[String(head)];
    return member === undefined ? [] : keysAt(member, rest);
  }
  const inner = def.valueType ?? def.element;
  return head === undefined || inner === undefined ? [] : keysAt(inner, rest);
}
