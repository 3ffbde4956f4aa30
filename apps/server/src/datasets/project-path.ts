import { EspalierError, parseProjectPath } from "@espalier/core";

/** A path that a client names, as one that can not leave the project. INVALID_INPUT. */
export function projectPath(text: string): string {
  try {
    if (!text.startsWith("/")) return parseProjectPath(text.startsWith("./") ? text : `./${text}`);
    throw new TypeError("an absolute path");
  } catch (cause) {
    throw new EspalierError("INVALID_INPUT", `${JSON.stringify(text)} is not a path of the project`, {
      cause,
      at: "body.path",
      hint: "Paths are relative to the project's folder, without `..`.",
    });
  }
}
