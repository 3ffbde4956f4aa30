import { EspalierError, parseProjectPath } from "@espalier/core";

/** They hold tokens, secrets and the record, and hooks that run as the owner. */
const neverTouched = [".espalier", ".git"];
/** What is written here runs as the owner of the control plane. */
const neverWritten = ["espalier.yaml", "pipelines"];

/** A path below the project that a client names, as one that neither leaves it nor reaches what only its owner may. INVALID_INPUT. */
export function projectPath(text: string, use: "read" | "write"): string {
  const path = insideProject(text);
  const [top = ""] = path.slice("./".length).split("/");
  if (top === "") {
    throw new EspalierError("INVALID_INPUT", "The project's folder itself is no data", {
      at: "body.path",
      hint: "Name a file or a folder in it.",
    });
  }
  if (neverTouched.includes(top) || (use === "write" && neverWritten.includes(top))) {
    throw new EspalierError("INVALID_INPUT", `${top} of the project is not for data`, {
      at: "body.path",
      hint: "Choose another path, such as one below data/.",
    });
  }
  return path;
}

function insideProject(text: string): string {
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
