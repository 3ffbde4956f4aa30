import { EspalierError } from "@espalier/core";

/** A fault of the caller's request; `column` is where. */
export function badRequest(message: string, column?: string): EspalierError {
  return new EspalierError("INVALID_INPUT", message, column === undefined ? {} : { at: column, details: { column } });
}
