import { realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { EspalierError } from "@espalier/core";

/**
 * The path of a file that a model folder names: it never leaves the folder, by `..` or by a link. `said`: which document names it. Errors:
 * NOT_FOUND, INVALID_DATA.
 */
export async function insideFolder(folder: string, file: string, said: string): Promise<string> {
  const root = await realpath(folder);
  const path = await realpath(join(root, file)).catch(() => undefined);
  if (path === undefined) {
    throw new EspalierError("NOT_FOUND", `${said} names the payload "${file}", which is not there`, { at: folder });
  }
  if (!path.startsWith(root + sep)) {
    throw new EspalierError("INVALID_DATA", `The payload "${file}" lies outside the model folder`, { at: folder });
  }
  return path;
}
