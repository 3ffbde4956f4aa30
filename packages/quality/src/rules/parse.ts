import { EspalierError, type Json, type JsonObject } from "@espalier/core";
import { isRowRule } from "./predicate.ts";
import { type Rule, type RuleKind, ruleKinds, ruleSchema } from "./schema.ts";

interface Fault {
  at: string;
  message: string;
}

/** Checks a parsed rules file `{rules: [...]}` (or the bare list). INVALID_CONFIG lists every fault with its place, `rules[3].column`. */
export function parseRules(document: Json): Rule[] {
  const list = isObject(document) ? document.rules : document;
  if (!Array.isArray(list) || list.length === 0) {
    throw new EspalierError("INVALID_CONFIG", "A rules file holds a list `rules:` with at least one rule", {
      at: "rules",
      hint: "For example `rules: [{ rule: not_null, column: id }]`.",
    });
  }
  const extraKeys = isObject(document) ? Object.keys(document).filter((key) => key !== "rules") : [];
  const faults: Fault[] = extraKeys.map((key) => ({
    at: key,
    message: `unknown key \`${key}\`; the only one is \`rules\``,
  }));
  const rules: Rule[] = [];
  for (const [index, item] of (list as readonly Json[]).entries()) {
    const place = `rules[${index}]`;
    const kindFault = checkKind(item, place);
    if (kindFault !== undefined) {
      faults.push(kindFault);
      continue;
    }
    const parsed = ruleSchema.safeParse(item);
    if (parsed.success) {
      rules.push(parsed.data);
      faults.push(...checkMeaning(parsed.data, place));
    } else {
      for (const issue of parsed.error.issues) {
        faults.push({ at: [place, ...issue.path.map(String)].join("."), message: issue.message });
      }
    }
  }
  if (faults.length > 0) throw faultError(faults);
  return rules;
}

function faultError(faults: readonly Fault[]): EspalierError {
  const lines = faults.map((fault) => `${fault.at}: ${fault.message}`);
  const head = faults.length === 1 ? "A rule is not valid" : `${faults.length} faults in the rules`;
  return new EspalierError("INVALID_CONFIG", `${head}: ${lines.join("; ")}`, {
    at: faults[0]?.at ?? "rules",
    details: { faults },
    hint: "The thirteen kinds of rule and their keys are in docs/validation.md.",
  });
}

function checkKind(item: Json, place: string): Fault | undefined {
  if (!isObject(item)) return { at: place, message: "a rule is a mapping such as `{ rule: not_null, column: id }`" };
  const kind = item.rule;
  if (typeof kind === "string" && ruleKinds.includes(kind as RuleKind)) return undefined;
  const known = `known: ${ruleKinds.join(", ")}`;
  if (kind === undefined) return { at: `${place}.rule`, message: `says no kind; ${known}` };
  return { at: `${place}.rule`, message: `unknown kind ${JSON.stringify(kind)}; ${known}` };
}

function checkMeaning(rule: Rule, place: string): Fault[] {
  const faults = checkKeys(rule, place);
  if (rule.severity === "quarantine" && !isRowRule(rule)) {
    faults.push({ at: `${place}.severity`, message: "`quarantine` is for rules that judge single rows" });
  }
  return faults;
}

function checkKeys(rule: Rule, place: string): Fault[] {
  switch (rule.rule) {
    case "range":
    case "row_count":
    case "aggregate":
    case "length":
      if (rule.min === undefined && rule.max === undefined)
        return [{ at: place, message: "needs `min`, `max` or both" }];
      if (typeof rule.min === typeof rule.max && (rule.min ?? 0) > (rule.max ?? 0)) {
        return [{ at: `${place}.min`, message: `is above \`max\` (${rule.min} > ${rule.max})` }];
      }
      if (rule.rule === "aggregate" && (rule.function === "quantile") !== (rule.q !== undefined)) {
        return [{ at: `${place}.q`, message: "belongs to `function: quantile`, which needs it" }];
      }
      return [];
    case "matches":
      return exactlyOne(place, ["pattern", "format"], [rule.pattern, rule.format]);
    case "sql":
      return exactlyOne(place, ["predicate", "query"], [rule.predicate, rule.query]);
    default:
      return [];
  }
}

function exactlyOne(place: string, names: readonly string[], values: readonly unknown[]): Fault[] {
  const given = values.filter((value) => value !== undefined).length;
  return given === 1
    ? []
    : [{ at: place, message: `needs exactly one of ${names.map((name) => `\`${name}\``).join(" and ")}` }];
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
