import { EspalierError, isEspalierError } from "@espalier/core";

/** DuckDB's messages as ours. The text is stable enough to sort into kinds; anything new is INVALID_INPUT with DuckDB's own words. */
export function toDuckDbError(error: unknown): EspalierError {
  if (isEspalierError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/No space left on device|failed to offload|max_temp_directory_size/i.test(message)) {
    return new EspalierError("DISK_FULL", `DuckDB ran out of disk space: ${firstLine(message)}`, {
      cause: error,
      hint: "Free some space (`espalier gc` previews what can go), then `espalier resume`.",
    });
  }
  if (/^Out of Memory Error/i.test(message)) {
    return new EspalierError("TOO_LARGE", `The query needs more memory than its limit: ${firstLine(message)}`, {
      cause: error,
      hint: "Split the query into steps, or aggregate before joining.",
    });
  }
  if (
    /No magic bytes|not a parquet file|too small to be a Parquet file|Invalid Parquet|TProtocolException|Snappy|ZSTD Decompression|invalid thrift|Invalid Input Error: .*parquet/i.test(
      message,
    )
  ) {
    return new EspalierError("INVALID_DATA", `The Parquet file is damaged or incomplete: ${firstLine(message)}`, {
      cause: error,
      hint: "Write the file again; it was probably cut off while being written or copied.",
    });
  }
  if (/^(IO|Conversion|Invalid Input|Out of Range|Constraint) Error/i.test(message)) {
    return new EspalierError("INVALID_DATA", firstLine(message), { cause: error });
  }
  return new EspalierError("INVALID_INPUT", message.trim(), { cause: error });
}

function firstLine(message: string): string {
  return (message.trim().split("\n")[0] ?? message).trim();
}
