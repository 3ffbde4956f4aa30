import type { IncomingHttpHeaders } from "node:http";
import type { RoutingRule } from "@espalier/core";

/** The choice of a version for one request. */

/** FNV-1a over UTF-16 code units with a final mix, as a fraction of 1; the mix spreads keys that differ in their last digit. */
export function keyFraction(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/**
 * The version whose share of [0, 1) holds the fraction. Shares lie in the list's order, so that with two versions a growing canary at the
 * end keeps the callers it has.
 */
export function chooseVersion<Version extends { weight: number }>(
  versions: readonly Version[],
  fraction: number,
): Version | undefined {
  let upper = 0;
  let last: Version | undefined;
  for (const version of versions) {
    if (version.weight <= 0) continue;
    upper += version.weight;
    last = version;
    if (fraction < upper) return version;
  }
  return last;
}

type Rule = (headers: IncomingHttpHeaders, key: string | undefined) => boolean;

/** Rules made ready for many requests: the version of the first one that fits, or undefined. */
export function compileRules(
  rules: readonly RoutingRule[],
): (headers: IncomingHttpHeaders, key: string | undefined) => string | undefined {
  const compiled = rules.map((rule): { fits: Rule; version: string } => {
    if ("keys" in rule) {
      const keys = new Set(rule.keys);
      return { version: rule.version, fits: (_headers, key) => key !== undefined && keys.has(key) };
    }
    const name = rule.header.toLowerCase();
    return { version: rule.version, fits: (headers) => headers[name] === rule.value };
  });
  return (headers, key) => {
    for (const { fits, version } of compiled) if (fits(headers, key)) return version;
    return undefined;
  };
}
