import type { MovePlan } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import colors from "picocolors";
import { formatBytes, formatSeconds } from "./terminal/output.ts";

/** `laptop..servers`; undefined for what is no pair of stacks. */
export function stackPair(text: string | undefined): { from: string; to: string } | undefined {
  const pair = text?.match(/^([^./\s]+)\.\.([^./\s]+)$/);
  return pair === null || pair === undefined ? undefined : { from: pair[1] as string, to: pair[2] as string };
}

export function requirePair(text: string): { from: string; to: string } {
  const pair = stackPair(text);
  if (pair !== undefined) return pair;
  throw new EspalierError("INVALID_INPUT", `"${text}" is not two stacks`, {
    at: text,
    hint: "For example: laptop..servers.",
  });
}

/** Its problems are told as errors, by whoever prints this. */
export function movePlanLines({
  from,
  to,
  sameStore,
  artifacts,
  bytes,
  missing,
  freeBytes,
  remaining,
  dollarsAMonth,
  time,
}: MovePlan): string[] {
  const count = (number: number): string => number.toLocaleString("en");
  const free = freeBytes === undefined ? "" : `, ${formatBytes(freeBytes)} free`;
  return [
    colors.bold(`data from ${from} to ${to}`),
    `  on record   ${count(artifacts)} artifacts, ${formatBytes(bytes)}`,
    sameStore
      ? "  to carry    nothing: both keep their artifacts in one place"
      : `  to carry    ${count(missing.artifacts)} artifacts, at most ${formatBytes(missing.bytes)}${free}`,
    ...(time === undefined ? [] : [`  time        ${timeWords(time)}, assuming ${time.assumed}`]),
    ...(sameStore
      ? []
      : [
          `  kept there  ${dollarsAMonth === undefined ? "the manifest names no price" : `${dollarsAMonth.toFixed(2)} $ a month by the manifest`}`,
        ]),
    "  stays       runs, models, schedules and lineage: they are the record's, which no stack owns",
    ...remaining.map((line) => `  ${colors.yellow("by hand")}     ${line}`),
  ];
}

function timeWords({ low, high }: NonNullable<MovePlan["time"]>): string {
  return high < 1 ? "under a second" : `${formatSeconds(1000 * low)} to ${formatSeconds(1000 * high)}`;
}
