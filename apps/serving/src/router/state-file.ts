import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { EspalierError, type RouterState, routerStateSchema } from "@espalier/core";
import { z } from "zod";

/** Errors: NOT_FOUND, INVALID_CONFIG naming the member. */
export async function readStateFile(file: string): Promise<RouterState> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new EspalierError("NOT_FOUND", `The router's state file can not be read: ${file}`, { at: file, cause });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new EspalierError("INVALID_CONFIG", "The router's state file is not JSON", { at: file, cause });
  }
  const parsed = routerStateSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new EspalierError("INVALID_CONFIG", `The router's state is not understood: ${z.prettifyError(parsed.error)}`, {
    at: file,
  });
}

/** Calls back after each change. The folder is watched, because a file that is replaced by rename ends a watch of its own. */
export function watchStateFile(file: string, onChange: () => void): () => void {
  const watcher = watch(dirname(file), (_event, name) => {
    if (name === null || name === basename(file)) onChange();
  });
  // Some file systems (network mounts, containers) report no changes at all.
  const timer = setInterval(onChange, 2_000).unref();
  return () => {
    watcher.close();
    clearInterval(timer);
  };
}
