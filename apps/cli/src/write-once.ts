import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { EspalierError } from "@espalier/core";

export interface GeneratedFile {
  path: string;
  text: string;
}

/** Files that are the user's once they are written: none is replaced unless that is asked for, and then all or none. */
export function writeOnce(files: readonly GeneratedFile[], force = false): { path: string; written: boolean }[] {
  const states = files.map(({ path, text }) => {
    const before = existsSync(path) ? readFileSync(path, "utf8") : undefined;
    return { path, text, differs: before !== undefined && before !== text, written: before !== text };
  });
  const changed = states.find(({ differs }) => differs);
  if (changed !== undefined && !force) {
    throw new EspalierError("ALREADY_EXISTS", `${changed.path} is there already, and differs`, {
      at: changed.path,
      hint: "`--force` replaces it.",
    });
  }
  for (const { path, text, written } of states) {
    if (!written) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  return states.map(({ path, written }) => ({ path, written }));
}
