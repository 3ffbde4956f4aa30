import type { RunSpan } from "../telling/spans.ts";
import type { CallContext } from "./artifact-store.ts";

/** A service elsewhere that keeps traces, told of runs, steps and attempts as spans. A span may come again, equal to the first. Errors as those of `LineageMirror`. */
export interface TraceMirror {
  /** What it will never take is told in the answer. */
  tell(spans: readonly RunSpan[], context?: CallContext): Promise<{ refused: string[] }>;
}
