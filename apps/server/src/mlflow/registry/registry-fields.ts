import { gateTag, promptTag, verdictTag } from "../../db/queries/registry/registry-rows.ts";
import { type Fields, fieldsList, optionalText, requiredText } from "../fields.ts";
import { invalidParameter, invalidValue, requireLength, requireName, requireNoNul } from "../limits.ts";

/** Limits and rules of names in MLflow's registry, with its messages. Source: mlflow/utils/validation.py, dbmodels/models.py. */
const mostNameCharacters = 256;
const mostDescriptionCharacters = 100_000;
const mostTagKeyCharacters = 250;
const mostTagValueCharacters = 100_000;
const mostAliasCharacters = 255;
const mostTags = 1000;

/** Compared as it is sent: nothing in it is ever decoded (CVE-2024-3099). */
export function modelName(fields: Fields, member = "name"): string {
  const name = requiredText(fields, member);
  if (name.trim() === "") invalidParameter(`Missing value for required parameter '${member}'.`);
  if (/[/:]/.test(name)) {
    invalidParameter(`Invalid model name '${name.slice(0, 300)}'. Names cannot contain '/' or ':'.`);
  }
  if (name === "." || name.startsWith("..")) {
    invalidValue(member, name, "Names must not resolve to others when they are taken for files");
  }
  requireLength(member, mostNameCharacters, name);
  requireNoNul(member, name);
  return name;
}

/** A whole number, which clients send as text. */
export function versionNumber(fields: Fields, member = "version"): number {
  const given = requiredText(fields, member);
  if (!/^\s*[+-]?\d+\s*$/.test(given)) {
    invalidParameter(`Parameter '${member}' must be an integer, got '${given.slice(0, 100)}'.`);
  }
  // No version has a number beyond what is exact, and the databases could not compare with it.
  return Math.max(-1, Math.min(Number(given), Number.MAX_SAFE_INTEGER));
}

const aliasPattern = /^[\p{L}\p{N}_-]*$/u;

export function aliasName(fields: Fields): string {
  const alias = requiredText(fields, "alias");
  if (!aliasPattern.test(alias)) {
    invalidParameter(
      `Invalid alias name: '${alias.slice(0, 300)}'. Names may only contain alphanumerics, underscores (_), and dashes (-).`,
    );
  }
  requireLength("Registered model alias name", mostAliasCharacters, alias);
  return alias;
}

/** An alias that may be set: not one that reads as a version. */
export function newAliasName(fields: Fields): string {
  const alias = aliasName(fields);
  if (alias.toLowerCase() === "latest") invalidParameter("'latest' alias name (case insensitive) is reserved.");
  if (/^v?\d+$/i.test(alias)) invalidParameter(`Version alias name '${alias}' is reserved.`);
  return alias;
}

export function descriptionOf(fields: Fields): string | undefined {
  const description = optionalText(fields, "description");
  if (description === undefined) return undefined;
  requireLength("description", mostDescriptionCharacters, description);
  requireNoNul("description", description);
  return description;
}

export function tagKey(fields: Fields): string {
  const key = requiredText(fields, "key");
  requireName("key", key);
  requireLength("key", mostTagKeyCharacters, key);
  return key;
}

export function tagValue(fields: Fields): string {
  const value = optionalText(fields, "value") ?? "";
  requireLength("value", mostTagValueCharacters, value);
  requireNoNul("value", value);
  return value;
}

/** Of a list of `{key, value}`; the last of equal keys wins. */
export function tagsOf(fields: Fields): Record<string, string> {
  const given = fieldsList(fields, "tags");
  if (given.length > mostTags) invalidParameter(`A request may hold ${mostTags} tags, this one has ${given.length}`);
  return Object.fromEntries(given.map((tag) => [tagKey(tag), tagValue(tag)]));
}

export function isPromptRequest(tags: Readonly<Record<string, string>>): boolean {
  return tags[promptTag]?.toLowerCase() === "true";
}

export const gateTags: readonly string[] = [gateTag, verdictTag];

/** What a gate said is not a client's to say. */
export function refuseGateTag(key: string): void {
  if (gateTags.includes(key)) {
    invalidParameter(`The tag ${key} tells what a gate said of the version: no client can set or delete it`);
  }
}
