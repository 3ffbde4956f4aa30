import type { Page } from "@espalier/contract";
import { EspalierError } from "@espalier/core";

/** A page of a list that is in memory anyway; the cursor is the index. */
export function pageOfList<Item>(
  items: readonly Item[],
  request: { limit: number; cursor?: string | undefined },
): Page<Item> {
  const start = Number(request.cursor ?? 0);
  if (!Number.isSafeInteger(start) || start < 0) {
    throw new EspalierError("INVALID_INPUT", "The cursor is not one that a list gave", { at: "query.cursor" });
  }
  const end = start + request.limit;
  return { items: items.slice(start, end), ...(end < items.length ? { next: String(end) } : {}) };
}
