import type { EntityGrammar, FilterGrammar, KeyGrammar } from "./grammar.ts";
import { refuse, unquote } from "./token-reader.ts";

export interface Identifier {
  entity: EntityGrammar;
  key: string;
}

/** `prefix.key` or `key`; the key may itself have dots. */
export function identify(written: string, grammar: FilterGrammar): Identifier {
  const dot = prefixEnd(written);
  const prefix = dot === -1 ? grammar.defaultEntity : unquote(written.slice(0, dot), ["`"]);
  const entity = grammar.entities.find(({ name, aliases }) => name === prefix || aliases?.includes(prefix) === true);
  if (entity === undefined) {
    refuse(`Invalid entity type '${prefix}'. Valid values are ${list(grammar.entities.map(({ name }) => name))}`);
  }
  return { entity, key: unquote(written.slice(dot + 1)) };
}

/** The dot behind the prefix: a quoted name without prefix may hold dots of its own. */
function prefixEnd(written: string): number {
  const isOneQuotedName = /^(?:`[^`]*`|"[^"]*")$/.test(written);
  return isOneQuotedName ? -1 : written.indexOf(".");
}

export function keyOf({ entity, key }: Identifier): KeyGrammar {
  const known = Object.hasOwn(entity.keys ?? {}, key) ? entity.keys?.[key] : entity.otherKeys?.(key);
  return known ?? refuseKey(entity.name, key, Object.keys(entity.keys ?? {}));
}

export function orderKeyOf({ entity, key }: Identifier): string {
  const { orderKeys = {} } = entity;
  if (orderKeys === "any") return key;
  return (Object.hasOwn(orderKeys, key) ? orderKeys[key] : undefined) ?? refuseOrder(entity, key, orderKeys);
}

function refuseOrder(entity: EntityGrammar, key: string, orderKeys: Readonly<Record<string, string>>): never {
  const names = Object.keys(orderKeys);
  return names.length === 0 ? refuse(`Invalid order_by entity: ${entity.name}`) : refuseKey(entity.name, key, names);
}

function refuseKey(entity: string, key: string, known: readonly string[]): never {
  return refuse(
    `Invalid ${entity} key '${key.slice(0, 250)}' specified. Valid keys are '{${known.map((one) => `'${one}'`).join(", ")}}'`,
  );
}

export function list(names: readonly string[]): string {
  return `[${names.map((name) => `'${name}'`).join(", ")}]`;
}
