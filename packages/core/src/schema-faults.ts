import type { z } from "zod";
import { didYouMean } from "./closest.ts";
import type { ErrorCode } from "./errors.ts";
import { type Fault, jsonPointer } from "./fault.ts";

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
  const faults = first.error.issues.flatMap((issue) => describe(flatten(issue), document, schema, code));
  let remaining: unknown = structuredClone(document);
  let issues: readonly Issue[] = first.error.issues;
  for (let round = 0; round < 20; round += 1) {
    for (const issue of issues.flatMap(flatten)) {
      if (issue.path.length === 0 && issue.code !== "unrecognized_keys") return { faults };
      remaining = without(remaining, issue, fallbacks);
    }
    const again = schema.safeParse(remaining);
    if (again.success) return { faults, value: again.data };
    issues = again.error.issues;
  }
  return { faults };
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

function without(document: unknown, issue: Issue, fallbacks: Readonly<Record<string, unknown>>): unknown {
  if (issue.code === "unrecognized_keys") {
    const owner = at(document, issue.path);
    if (typeof owner === "object" && owner !== null) for (const key of issue.keys) Reflect.deleteProperty(owner, key);
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
  else return without(document, { ...issue, path: issue.path.slice(0, -1), code: "custom" } as Issue, fallbacks);
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
