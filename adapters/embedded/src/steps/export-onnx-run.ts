import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DataStepContext, type ErrorCode, EspalierError, errorTable, type JsonObject } from "@espalier/core";
import { identifier, literal } from "@espalier/quality";
import { openDuckDb } from "../duckdb-client.ts";
import type { ExportOnnxWith } from "./export-onnx.ts";
import { attachTable } from "./tables.ts";
import { writeValue } from "./value-output.ts";

/** One output of the graph beside what the model as logged says. */
interface OutputDifference {
  name: string;
  /** Largest difference, or text when one side is NaN. Absent for labels. */
  largest?: number | string;
  mean?: number;
  /** Rows whose label differs. Absent for numbers. */
  different?: number;
  /** Row of the largest difference, or of the first other label. */
  row: number | null;
}

interface Told {
  error?: { code: string; message: string };
  flavor?: string;
  rows?: number;
  outputs?: OutputDifference[];
}

/** Beside this program where it is built, in `python/` of a checkout. */
function exportProgram(): string {
  const path = import.meta.url.endsWith(".ts") ? "../../../../python/export_onnx.py" : "./export_onnx.py";
  return fileURLToPath(new URL(path, import.meta.url));
}

/**
 * Errors: NOT_INSTALLED (a package of the step's environment), UNSUPPORTED (a library or step of a pipeline that has no converter),
 * SIGNATURE_MISMATCH (the graph predicts otherwise), INVALID_DATA.
 */
export async function runExportOnnx(context: DataStepContext): Promise<void> {
  // The declaration's schema has checked it, defaults included.
  const settings = context.with as unknown as ExportOnnxWith;
  const folder = await mkdtemp(join(tmpdir(), "espalier-export-"));
  try {
    const rows = join(folder, "rows.csv");
    await writeRows(context.inputs["data"] ?? "", rows, settings.rows);
    const model = context.inputs["model"] ?? "";
    const told = await runPython([exportProgram(), model, rows, context.outputs["model"] ?? ""], context.signal);
    if (told.error !== undefined) throw toldError(told.error);
    const outputs = told.outputs ?? [];
    const report = { ...told, tolerance: settings.tolerance } as unknown as JsonObject;
    await writeValue(context.outputs["report"], report);
    for (const { name, largest, different } of outputs) {
      if (typeof largest === "number")
        context.emit({ type: "metric", key: `onnx.difference.${name}`.slice(0, 250), value: largest });
      if (different !== undefined)
        context.emit({ type: "metric", key: `onnx.different.${name}`.slice(0, 250), value: different });
    }
    requireParity(outputs, told.rows ?? 0, settings);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** As CSV, which every Python reads: numbers are written so that they come back bit for bit. */
async function writeRows(data: string, target: string, most: number): Promise<void> {
  const database = await openDuckDb({ threads: 1, memoryLimit: "800MB" });
  try {
    const columns = await attachTable(database, "data", data);
    const count = Number((await database.rows("SELECT count(*) AS n FROM data"))[0]?.["n"] ?? 0);
    if (count === 0) throw new EspalierError("INVALID_DATA", "There are no rows to compare on", { at: "inputs.data" });
    const every = Math.max(1, Math.floor(count / most));
    const names = columns.map(({ name }) => identifier(name)).join(", ");
    const numbered = `SELECT ${names}, row_number() OVER () AS espalier_row FROM data`;
    const picked = `SELECT ${names} FROM (${numbered}) WHERE (espalier_row - 1) % ${every} = 0 ORDER BY espalier_row LIMIT ${most}`;
    await database.run(`COPY (${picked}) TO ${literal(target)} (FORMAT csv, HEADER)`);
  } finally {
    await database.close();
  }
}

const answerLine = "espalier-export";

/** The `python` of the step's environment, which leads the path. */
async function runPython(args: readonly string[], signal: AbortSignal): Promise<Told> {
  const child = spawn("python", [...args], { stdio: ["ignore", "pipe", "inherit"], signal });
  let written = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code !== "ENOENT") return reject(cause);
      reject(noEnvironment("There is no `python` on the path of this step"));
    });
    child.once("close", resolve);
  });
  const lines = written.split("\n");
  const answer = lines[lines.lastIndexOf(answerLine) + 1];
  if (!lines.includes(answerLine) || answer === undefined) {
    throw new EspalierError("INVALID_DATA", `Python ended with exit code ${code} while it exported the model`, {
      hint: "The step's log has what it printed.",
    });
  }
  return JSON.parse(answer) as Told;
}

function noEnvironment(message: string): EspalierError {
  return new EspalierError("NOT_INSTALLED", message, {
    at: "environment.python",
    hint: "Give the step `environment: { python: ./requirements.txt }` with mlflow, the model's library, onnxruntime, and skl2onnx or onnxmltools.",
  });
}

function toldError({ code, message }: { code: string; message: string }): EspalierError {
  if (code === "NOT_INSTALLED") return noEnvironment(message);
  const known: ErrorCode = code in errorTable ? (code as ErrorCode) : "UNSUPPORTED";
  return new EspalierError(known, message, {
    at: "inputs.model",
    ...(known === "UNSUPPORTED" ? { hint: "Serve the model as it was logged: that needs no export." } : {}),
  });
}

function requireParity(outputs: readonly OutputDifference[], rows: number, settings: ExportOnnxWith): void {
  for (const { name, largest, different, row } of outputs) {
    if (different !== undefined && different > settings.different_labels * rows) {
      throw parityError(`${different} of ${rows} rows get another ${name} from the graph, row ${row} first`);
    }
    if (largest !== undefined && !(typeof largest === "number" && largest <= settings.tolerance)) {
      throw parityError(
        `${name} of the graph differs by ${largest} in row ${row}; the tolerance is ${settings.tolerance}`,
      );
    }
  }
}

function parityError(message: string): EspalierError {
  return new EspalierError(
    "SIGNATURE_MISMATCH",
    `The graph does not predict what the model as logged predicts: ${message}`,
    {
      at: "inputs.model",
      hint: "Graphs compute in 32 bits, and trees split at values that 32 bits do not hold. Serve the model as it was logged, or raise `with.tolerance` knowingly.",
    },
  );
}
