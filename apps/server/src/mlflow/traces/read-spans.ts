import { setTimeout as delay } from "node:timers/promises";
import type { ControlPlane } from "../../control-plane.ts";
import { sizeStatsMetadata, spansInRecord, spansLocationTag, type TraceInfo } from "../../db/queries/traces/trace.ts";
import { invalidParameter } from "../limits.ts";
import { mlflowError } from "../mlflow-error.ts";

type Traces = ControlPlane["record"]["traces"];

/** Characters of spans in one answer: it is made as one text. */
const largestAnswer = 256 * 1024 * 1024;
/** Clients send the trace first and its spans a moment later, from another thread. */
const patienceMilliseconds = 3000;
const pauseMilliseconds = 100;

/**
 * The trace with its spans, waiting a little for those that the client says there are. RESOURCE_DOES_NOT_EXIST: not all are here, or
 * the client keeps them among the artifacts. `allowPartial`: whatever there is.
 */
export async function readWholeTrace(
  traces: Traces,
  id: string,
  allowPartial: boolean,
  signal: AbortSignal,
): Promise<{ trace: TraceInfo; spans: string[] }> {
  for (let waited = 0; ; waited += pauseMilliseconds) {
    const trace = await traces.get(id);
    if (trace === undefined) throw mlflowError("RESOURCE_DOES_NOT_EXIST", `Trace with ID ${id} is not found.`);
    const isHere = areInRecord(trace);
    if (allowPartial || (isHere && (await isComplete(traces, trace)))) {
      requireSize(await traces.countSpans([id]));
      return { trace, spans: await traces.spansOf(id) };
    }
    if (waited >= patienceMilliseconds || !isHere) {
      throw mlflowError(
        "RESOURCE_DOES_NOT_EXIST",
        `Trace with ID ${id} is not fully exported yet, please try again later.`,
      );
    }
    await delay(pauseMilliseconds, undefined, { signal });
  }
}

/** Those of the traces whose spans are all here. */
export async function readWholeTraces(
  traces: Traces,
  infos: readonly TraceInfo[],
): Promise<{ trace: TraceInfo; spans: string[] }[]> {
  const here = infos.filter(areInRecord);
  const counts = await traces.countSpans(here.map(({ id }) => id));
  requireSize(counts);
  const whole: { trace: TraceInfo; spans: string[] }[] = [];
  for (const trace of here) {
    const spans = counts.get(trace.id)?.spans ?? 0;
    if (spans === 0 || spans < expectedSpans(trace)) continue;
    whole.push({ trace, spans: await traces.spansOf(trace.id) });
  }
  return whole;
}

function areInRecord({ tags }: TraceInfo): boolean {
  return tags.some(({ key, value }) => key === spansLocationTag && value === spansInRecord);
}

async function isComplete(traces: Traces, trace: TraceInfo): Promise<boolean> {
  const count = (await traces.countSpans([trace.id])).get(trace.id)?.spans ?? 0;
  return count > 0 && count >= expectedSpans(trace);
}

/** As many as the client said it had; 0 when it said nothing. */
function expectedSpans({ metadata }: TraceInfo): number {
  const text = metadata.find(({ key }) => key === sizeStatsMetadata)?.value;
  if (text === undefined) return 0;
  try {
    const count = (JSON.parse(text) as { num_spans?: unknown } | null)?.num_spans;
    return typeof count === "number" ? count : 0;
  } catch {
    // A client may write what it likes there: then nothing is known of how many there will be.
    return 0;
  }
}

function requireSize(counts: ReadonlyMap<string, { size: number }>): void {
  const size = [...counts.values()].reduce((sum, one) => sum + one.size, 0);
  if (size <= largestAnswer) return;
  invalidParameter(`The spans have ${size} characters; one answer holds ${largestAnswer}. Ask for fewer traces.`);
}
