/** Decides the bytes of written tables, so it is part of the cache key; a test compares it with the installed library. */
export const duckdbVersion = "1.5.6";
export const duckdbEngine = `duckdb ${duckdbVersion}`;
