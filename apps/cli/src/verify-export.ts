import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";

export interface ExportVerification {
  files: number;
  bytes: number;
  faults: { path: string; what: string }[];
  /** There, and in no manifest: added since. */
  extra: string[];
}

/** Hashes every file of an exported folder again. NOT_FOUND: it has no manifest, so that the export is not whole. */
export async function verifyExport(folder: string): Promise<ExportVerification> {
  const manifest = await readManifest(folder);
  const report: ExportVerification = { files: 0, bytes: 0, faults: [], extra: [] };
  const known = new Set<string>(["manifest.json"]);
  for (const { path, size, sha256 } of manifest) {
    known.add(path);
    report.files += 1;
    const hash = createHash("sha256");
    let read = 0;
    try {
      for await (const chunk of createReadStream(join(folder, path))) {
        hash.update(chunk as Buffer);
        read += (chunk as Buffer).length;
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      report.faults.push({ path, what: code === "ENOENT" ? "is missing" : message });
      continue;
    }
    report.bytes += read;
    if (read !== size) report.faults.push({ path, what: `has ${read} bytes, not ${size}` });
    else if (hash.digest("hex") !== sha256) report.faults.push({ path, what: "has other bytes" });
  }
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1);
    if (entry.isFile() && !known.has(path)) report.extra.push(path);
  }
  return report;
}

async function readManifest(folder: string): Promise<{ path: string; size: number; sha256: string }[]> {
  const path = join(folder, "manifest.json");
  try {
    const { format, files } = JSON.parse(await readFile(path, "utf8")) as { format?: unknown; files?: unknown };
    if (format === 1 && Array.isArray(files)) return files as { path: string; size: number; sha256: string }[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new EspalierError("NOT_FOUND", `${folder} has no manifest: the export is not whole`, {
        at: path,
        hint: `espalier export project --out ${folder} goes on with it.`,
        cause: error,
      });
    }
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new EspalierError("INVALID_DATA", `${path} is no manifest of an export`, { at: path });
}
