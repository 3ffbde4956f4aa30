import { EspalierError, isEspalierError, toEspalierError } from "@espalier/core";

/** A file system's error as ours; `path` is the one the user knows, never a temporary name. */
export function fromDiskError(error: unknown, path: string): EspalierError {
  if (isEspalierError(error)) return error;
  const systemCode = error instanceof Error && "code" in error ? error.code : undefined;
  switch (systemCode) {
    case "ENOENT":
      return new EspalierError("NOT_FOUND", `There is no ${path}`, { cause: error, at: path });
    case "ENOTDIR":
    case "EEXIST":
      return new EspalierError("INVALID_INPUT", `${path} can not be a folder: a file is in its way`, {
        cause: error,
        at: path,
        hint: "Choose another place.",
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new EspalierError("PERMISSION_DENIED", `The operating system refuses access to ${path}`, {
        cause: error,
        at: path,
        hint: "Check the owner and mode of the file and of its folder.",
      });
    case "EMFILE":
    case "ENFILE":
      return new EspalierError("UNAVAILABLE", "Too many files are open", {
        cause: error,
        at: path,
        hint: "Raise the limit (`ulimit -n`) and try again.",
      });
    default:
      return toEspalierError(error);
  }
}

export function hasSystemCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
