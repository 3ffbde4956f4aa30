import { type StepEvent, stepEventSchema } from "@espalier/core";
import { readRange } from "./attempt-folder.ts";
import { maskBytes } from "./mask.ts";

const chunkBytes = 1024 * 1024;

/** Whole lines from a byte offset on, at most 1 MiB a call. A line that is no event becomes a note, and the step goes on. */
export async function readEventFile(
  path: string,
  offset: number,
  secrets: readonly Buffer[] = [],
): Promise<{ events: StepEvent[]; next: number }> {
  const bytes = Buffer.from(await readRange(path, offset, chunkBytes));
  let end = bytes.lastIndexOf(0x0a) + 1;
  const rest = bytes.subarray(end).toString("utf8");
  // The last line may lack its newline for good; it counts once it is whole. A line longer than a chunk would never end.
  if (rest !== "" && (isJson(rest) || (end === 0 && bytes.length === chunkBytes))) end = bytes.length;
  const events: StepEvent[] = [];
  for (const line of maskBytes(bytes.subarray(0, end), secrets).toString("utf8").split("\n")) {
    if (line.trim() !== "") events.push(parseEvent(line));
  }
  return { events, next: offset + end };
}

function parseEvent(line: string): StepEvent {
  try {
    const parsed = stepEventSchema.safeParse(JSON.parse(line));
    if (parsed.success) return { timestamp: Date.now(), ...parsed.data };
  } catch {
    // Not JSON: a note like any other line that is no event.
  }
  return { type: "note", text: line.slice(0, 8000), timestamp: Date.now() };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
