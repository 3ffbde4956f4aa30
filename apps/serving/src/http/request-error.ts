import { EspalierError } from "@espalier/core";

/** A fault of the caller's request; `column` is where. */
export function badRequest(message: string, column?: string): EspalierError {
  if (column === undefined) return new EspalierError("INVALID_INPUT", message);
  const at = shortened(column);
  return new EspalierError("INVALID_INPUT", message, { at, details: { column: at } });
}

/** A name that a caller gave, for a message: it may have a million letters. */
export function shortened(name: string): string {
  return name.length > 80 ? `${name.slice(0, 77)}...` : name;
}
