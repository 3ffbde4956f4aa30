import type { Json, JsonObject } from "@espalier/core";

export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Enough of a digest to tell it from others. */
export function shortDigest(digest: string): string {
  return `${digest.slice(0, 7)}${digest.slice(7, 19)}`;
}

export function decimal(value: number, digits = 3): string {
  return value.toFixed(digits).replace("-", "−");
}

export function signed(value: number, digits = 3): string {
  return value < 0 ? decimal(value, digits) : `+${decimal(value, digits)}`;
}

export function text(value: Json | undefined): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function member(value: Json | undefined, name: string): Json | undefined {
  return isObject(value) ? value[name] : undefined;
}

export function numberIn(value: Json | undefined, name: string): number | undefined {
  const found = member(value, name);
  return typeof found === "number" ? found : undefined;
}
