/** What one answer of the server holds at most, in bytes: pages of this size tile a log without gap or overlap. */
export const pageBytes = 1024 * 1024;
/** Lines beyond it are let go at the beginning, so that a log that grows for days does not fill the browser. */
const mostLines = 200_000;

/** The part of a log that is in the browser: lines, and the bytes they come from. */
export interface LogPart {
  /** Offset of the first byte that is here. */
  start: number;
  /** Offset of the byte to ask for next. */
  next: number;
  lines: readonly string[];
  ended: boolean;
}

interface Chunk {
  text: string;
  next: number;
  ended: boolean;
}

/** Where the first page begins of a log of so many bytes: the last page, and the one before when the last is short. */
export function firstOffset(size: number): number {
  const page = Math.max(0, Math.floor((size - 1) / pageBytes));
  return (size - page * pageBytes < pageBytes / 8 && page > 0 ? page - 1 : page) * pageBytes;
}

export function firstPart(start: number, { text, next, ended }: Chunk): LogPart {
  return { start, next, ended, lines: text.split("\n") };
}

/** The last line may be half: what follows goes on in it. */
export function append(part: LogPart, { text, next, ended }: Chunk): LogPart {
  if (text === "") return { ...part, next, ended };
  const [head = "", ...added] = text.split("\n");
  const last = `${part.lines.at(-1) ?? ""}${head}`;
  const lines = [...part.lines.slice(0, -1), last, ...added];
  // How many bytes were let go is not known, so that what is earlier can not be asked for any more than as a whole file.
  return { ...part, next, ended, lines: lines.length > mostLines ? lines.slice(-mostLines) : lines };
}

/** Puts the page before in front; it ended where this part starts. */
export function prepend(part: LogPart, start: number, text: string): LogPart {
  const before = text.split("\n");
  const joined = `${before.at(-1) ?? ""}${part.lines[0] ?? ""}`;
  return { ...part, start, lines: [...before.slice(0, -1), joined, ...part.lines.slice(1)] };
}

/** Offsets of the lines that hold the words, whatever their case. */
export function find(lines: readonly string[], words: string): number[] {
  if (words === "") return [];
  const wanted = words.toLowerCase();
  return lines.flatMap((line, index) => (line.toLowerCase().includes(wanted) ? [index] : []));
}

/** Colours and cursor moves that programs write for terminals are no text. */
export function plainLine(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the control characters to take out
  const text = line.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, "").replace(/\r$/, "");
  // A progress bar writes its line anew behind each carriage return: the last stands.
  return text.slice(text.lastIndexOf("\r") + 1);
}
