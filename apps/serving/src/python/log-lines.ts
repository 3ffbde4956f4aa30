import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

const longestLine = 8192;
const keptLines = 5;

/** Hands on every line that the process prints. Answers how to get the last of them, for the message when it dies. */
export function followLines(child: ChildProcess, onLine: (line: string) => void): () => string {
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
      if (line.trim() === "") return;
      const cut = line.length > longestLine ? `${line.slice(0, longestLine)} ...` : line;
      last.push(cut);
      if (last.length > keptLines) last.shift();
      onLine(cut);
    });
  }
  return () => last.join("\n");
}
