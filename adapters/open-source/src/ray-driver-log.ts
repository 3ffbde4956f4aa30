import { z } from "zod";
import { parseJson } from "./parse-json.ts";

/** What a job's driver (`python/ray_driver.py`) tells of one attempt; the last line of an attempt holds. */
const lineSchema = z.discriminatedUnion("espalier", [
  z.object({ espalier: z.literal("taken"), attempt: z.string(), feed: z.int().nullish() }),
  z.object({ espalier: z.literal("waiting"), attempt: z.string(), reason: z.string() }),
  z.object({
    espalier: z.literal("ended"),
    attempt: z.string(),
    exit_code: z.int(),
    cancelled: z.boolean(),
    words: z.string(),
  }),
  z.object({ espalier: z.literal("lost"), attempt: z.string(), reason: z.string() }),
]);
export type DriverLine = z.infer<typeof lineSchema>;

/** By attempt. Ray writes lines of its own among the driver's; those are nothing to us. */
export function readDriverLog(text: string): ReadonlyMap<string, DriverLine> {
  const told = new Map<string, DriverLine>();
  for (const line of text.split("\n")) {
    if (!line.startsWith('{"espalier":')) continue;
    const parsed = lineSchema.safeParse(parseJson(line));
    if (parsed.success) told.set(parsed.data.attempt, parsed.data);
  }
  return told;
}

/** How many times the driver was given more attempts, and took them. */
export function feedsTaken(text: string): number {
  let most = 0;
  for (const [, feed] of text.matchAll(/^\{"espalier":\s*"taken",.*"feed":\s*(\d+)\}$/gm))
    most = Math.max(most, Number(feed));
  return most;
}

/** The end of a log, without the driver's lines: why a driver itself failed. */
export function endOfLog(text: string, characters = 2_000): string {
  const own = text.split("\n").filter((line) => !line.startsWith('{"espalier":'));
  return own.join("\n").trim().slice(-characters);
}
