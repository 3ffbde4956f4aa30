import { parseLongJson, rawInteger } from "@espalier/core";

/**
 * JSON with 64-bit integers, as MLflow's protocol has them: written as plain numbers, read without loss. Integers up to 2^53 are numbers
 * here, greater ones bigint. Non-finite doubles are the texts that protobuf's JSON mapping names.
 */
export const parseJson = parseLongJson;

export function writeJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member === "bigint") return rawInteger(member);
    if (typeof member === "number" && !Number.isFinite(member)) return jsonDouble(member);
    return member;
  });
}

/** For a document that JSON.stringify writes without a replacer, which is several times faster. */
export function jsonInteger(value: number | bigint): unknown {
  return typeof value === "bigint" ? rawInteger(value) : value;
}

/** MLflow answers infinities as the greatest doubles. */
export function jsonDouble(value: number): string | number {
  if (Number.isFinite(value)) return value;
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? Number.MAX_VALUE : -Number.MAX_VALUE;
}
