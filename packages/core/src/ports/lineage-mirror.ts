import type { LineageEvent } from "../telling/openlineage.ts";
import type { CallContext } from "./artifact-store.ts";

/**
 * A service elsewhere that is told what runs read and made, by OpenLineage events. An event may come again, equal to the first.
 *
 * Errors: UNREACHABLE, UNAVAILABLE, RATE_LIMITED, TIMEOUT (try again), UNAUTHENTICATED, PERMISSION_DENIED, UNSUPPORTED (not such a service).
 */
export interface LineageMirror {
  /** In order. Those that it will never take are told in the answer. */
  tell(events: readonly LineageEvent[], context?: CallContext): Promise<{ refused: string[] }>;
}
