import type { EspalierError } from "@espalier/core";
import colors from "picocolors";

export function printLine(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** One JSON document, for scripts. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** What is wrong, where, what to do next. With --json the same as a document on standard output. */
export function printError(error: EspalierError, asJson: boolean): void {
  if (asJson) {
    printJson({ error: error.toJSON() });
    return;
  }
  const place = error.at === undefined || error.message.startsWith(error.at) ? "" : `${colors.bold(error.at)}: `;
  const lines = [`${colors.red("error")} ${colors.dim(error.code)} ${place}${error.message}`];
  const faults = error.details.faults;
  if (Array.isArray(faults) && faults.length > 1) {
    for (const fault of faults.slice(0, shownFaults)) lines.push(...faultLines(fault));
    if (faults.length > shownFaults) lines.push(`  and ${faults.length - shownFaults} more`);
  }
  const tail = error.details.logTail;
  if (typeof tail === "string" && tail !== "")
    lines.push(
      ...tail
        .trimEnd()
        .split("\n")
        .map((line) => colors.dim(`  │ ${line}`)),
    );
  if (error.hint !== undefined) lines.push(`${colors.cyan("next")}  ${error.hint}`);
  process.stderr.write(`${lines.join("\n")}\n`);
}

const shownFaults = 30;

function faultLines(fault: unknown): string[] {
  if (typeof fault !== "object" || fault === null) return [`  ${String(fault)}`];
  const { at, message, hint, code } = fault as Record<string, unknown>;
  const head = `  ${typeof at === "string" ? `${colors.bold(at)} ` : ""}${typeof code === "string" ? `${colors.dim(code)} ` : ""}${String(message ?? "")}`;
  return typeof hint === "string" ? [head, `    ${colors.cyan(hint)}`] : [head];
}

/** Columns padded to their widest cell; numbers to the right. */
export function tableLines(
  headers: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
): string[] {
  const cells = rows.map((row) => row.map((cell) => (cell === undefined ? "" : String(cell))));
  const widths = headers.map((header, column) =>
    Math.max(header.length, ...cells.map((row) => visible(row[column] ?? ""))),
  );
  const numeric = headers.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => pad(cell, widths[column] ?? 0, numeric[column] ?? false))
      .join("  ")
      .trimEnd();
  return [colors.dim(line(headers)), ...cells.map(line)];
}

export function printTable(...table: Parameters<typeof tableLines>): void {
  for (const line of tableLines(...table)) printLine(line);
}

function pad(text: string, width: number, right: boolean): string {
  const fill = " ".repeat(Math.max(0, width - visible(text)));
  return right ? fill + text : text + fill;
}

/** Width without colour codes. */
function visible(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with ESC
  return text.replace(/\u001b\[[0-9;]*m/g, "").length;
}

export function formatSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = "B";
  for (const next of units) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return `${value.toFixed(1)} ${unit}`;
}

export function formatInstant(milliseconds: number | undefined): string {
  return milliseconds === undefined ? "" : `${new Date(milliseconds).toISOString().slice(0, 19).replace("T", " ")}Z`;
}
